from __future__ import annotations

import os

import pytest

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


SPY = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in --output) output=$2 ;; --pid) pid=$2 ;; esac
  shift
done
sleep 0.2
{then}
"""


@pytest.mark.parametrize(
    ("then", "shown"),
    [
        ('echo "<svg>$pid</svg>" > "$output"', "wrote "),
        ("echo cause >&2; echo 'Error: no permission' >&2; exit 1", "no flame graph: py-spy failed: Error: no permiss"),
        ("", "no flame graph: py-spy failed: it wrote nothing"),
    ],
)
def test_py_spy_looks_into_this_process_while_it_scores(run, user_file, monkeypatch, tmp_path, then, shown):
    (tmp_path / "py-spy").write_text(SPY.format(then=then))
    (tmp_path / "py-spy").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    scored = []
    monkeypatch.setattr(command, "rank_batch", lambda *given, **options: scored.append(given))
    flame = tmp_path / "flame.svg"
    result = run("profile", f"{user_file}:build", *DATA, "--proxies", "snip", "--flame", flame)
    assert result.code == 0
    assert shown in result.out
    assert scored
    if flame.exists():
        assert flame.read_text() == f"<svg>{os.getpid()}</svg>\n"


def test_a_network_is_no_function(run, user_file):
    result = run("profile", "nowhere.py:build", *DATA)
    assert result.code == 2
    assert "nowhere.py" in result.err
