from __future__ import annotations

import pytest

from zerocost.base.fidelity import Fidelity


def test_a_fidelity_is_found_saved_and_taken_by_evaluate(run, user_file, tmp_path):
    file = tmp_path / "fidelity.json"
    given = ["--data", "digits:8", "--space", "cnn", "--proxies", "snip,params", "--networks", 12, "--kendall", 0.1]
    done = run("calibrate", *given, "--interval", 0.9, "--fidelity", "width=0.5,batch=8", "--batch", 32, "--save", file)
    assert done.code == 0 and "width=0.5,batch=8" in done.out and "wrote" in done.out, done
    assert "τ of each proxy with itself at full size: snip" in done.out and "params 1.00" in done.out
    assert Fidelity.parse(str(file)) == Fidelity(width=0.5, batch=8)
    short = ["--n", 3, "--k", 1, "--seeds", 1, "--proxies", "snip", "--resamples", 2, "--json"]
    found = run("evaluate", "digits", *short, "--fidelity", file)
    assert found.code == 0 and found.json["settings"]["fidelity"] == "width=0.5,batch=8", found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["calibrate", "--data", "digits:8", "--kendall", 2], "kendall must be between 0 and 1"),
        (["calibrate", "--data", "digits:8", "--save", "/nowhere/a.json"], "there is no folder"),
        (["calibrate", "--data", "digits:8", "--fidelity", "tiny"], "a fidelity reads"),
        (["search", "--data", "digits:8", "--fidelity", "none.json"], "cannot read the fidelity in none.json"),
        (["evaluate", "digits", "--fidelity", "other.json"], "other.json holds no fidelity"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.json").write_text("{}")
    done = run(*arguments)
    assert done.code == 2 and done.err.startswith("error: ") and done.err.count("\n") == 1, done
    assert message in done.err
