from __future__ import annotations

import json

import pytest

from zerocost import benchmarks

SMALL = ("--fidelity", "width=0.1,depth=0.2", "--batch", 4, "--repeats", 1, "--trials", 6, "--folds", 2, "--rounds", 1)
PROXIES = ("--proxies", "params,depth")


@pytest.fixture
def trained(tmp_path):
    """Real networks' accuracies in a CSV."""
    digits = benchmarks.get("digits")
    truth = digits.truth(**digits.default._asdict())[:9]
    file = tmp_path / "mine.csv"
    file.write_text("arch,accuracy\n" + "".join(f'"{text}",{value}\n' for text, value in truth.items()))
    return file


def test_it_says_what_was_found_and_what_it_is_worth_and_writes_it(run, trained, tmp_path):
    file = tmp_path / "tuned.json"
    result = run("tune", "--space", "cnn", "--trained", trained, "--data", "digits:8", *SMALL, *PROXIES, "--save", file)
    assert result.code == 0, result.err
    for text in (
        "9 trained architectures, by accuracy",
        "params",
        "jacob_cov",
        "on held-out architectures: Kendall",
        "95 % interval",
        f"wrote {file}",
    ):
        assert text in result.out
    assert json.loads(file.read_text())["made"]["trained"] == 9


def test_json_of_a_benchmark(run):
    result = run("tune", "--trained", "digits", "--n", 8, *SMALL, *PROXIES, "--json")
    assert result.code == 0, result.err
    gain = result.json["gain"]
    assert gain["low"] <= gain["mean"] <= gain["high"]
    assert gain["shown"] is (gain["low"] > 0)
    assert "reference" not in result.json["combination"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--trained", "nowhere.csv", "--space", "cnn", "--data", "digits:8"), "nowhere.csv"),
        (("--trained", "digits", "--n", 5), "train at least 8"),
        (("--trained", "digits", "--proxies", "snpi"), "did you mean 'snip'"),
        (("--trained", "digits", "--fidelity", "width=2"), "fidelity width"),
        (("--trained", "digits", "--save", "nowhere/t.json"), "there is no folder"),
    ],
)
def test_bad_input_is_one_line(run, options, message):
    result = run("tune", *options)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
