from __future__ import annotations

from zerocost.cli import profile as command

DATA = ("--data", "digits:8", "--batch", 16, "--rounds", 1)


def test_prints_passes_watchers_and_proxies(run, user_file):
    result = run("profile", f"{user_file}:build", *DATA, "--proxies", "naswot,snip")
    assert result.code == 0
    for part in ("pass data", "watcher activation_kernel", "proxy snip", "the rest", "together", "1 unit"):
        assert part in result.out


def test_json_has_the_same_parts(run, user_file):
    result = run("profile", f"{user_file}:build", *DATA, "--proxies", "snip", "--json").json
    assert [row["name"] for row in result["table"]][:3] == ["build", "data", "loss"]
    assert result["rounds"] == 1


def test_without_py_spy_one_line_says_so(run, user_file, monkeypatch, tmp_path):
    monkeypatch.setattr(command.shutil, "which", lambda name: None)
    result = run("profile", f"{user_file}:build", *DATA, "--proxies", "snip", "--flame", tmp_path / "flame.svg")
    assert result.code == 0
    assert "no flame graph: py-spy is not installed" in result.out


def test_a_network_is_no_function(run, user_file):
    result = run("profile", "nowhere.py:build", *DATA)
    assert result.code == 2
    assert "nowhere.py" in result.err
