from __future__ import annotations

import pytest

DATA = ("--data", "digits:8", "--batch", 16, "--proxies", "snip,jacob_cov")


def test_best_first_and_only_the_top(run, user_file):
    result = run("rank", f"{user_file}:candidates", *DATA, "--top", 2, "--json")
    ranking = result.json["ranking"]
    assert [row["candidate"] for row in ranking] == ["w16", "w8"]
    assert ranking[0]["rank_score"] >= ranking[1]["rank_score"]
    assert "w4" in result.json["dropped"]


def test_conditions_filter(run, user_file):
    result = run("rank", f"{user_file}:candidates", *DATA, "--where", "params < 2000", "--json")
    assert {row["candidate"] for row in result.json["ranking"]} == {"w4", "w8"}
    assert "params < 2000 is false" in result.json["dropped"]["w16"]


def test_one_bad_candidate_stops_nobody_and_its_name_is_not_markup(run, user_file):
    result = run("rank", f"{user_file}:with_a_broken_one", *DATA)
    assert result.code == 0
    assert "[broken]" in result.out
    assert "scores failed for 1 of 4 candidates" in result.out


def test_data_that_fits_no_candidate_is_exit_code_2(run, user_file):
    result = run("rank", f"{user_file}:only_broken", *DATA)
    assert (result.code, result.out) == (2, "")
    assert "no candidate could be scored: the network raised" in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_ctrl_c_keeps_what_was_scored(run, user_file):
    result = run("rank", f"{user_file}:interrupted", *DATA)
    assert result.code == 130
    assert "w4" in result.out
    assert "1 candidates scored until then" in result.err


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nothing", (), "no candidates"),
        ("number", (), "mapping from name"),
        ("candidates", ("--where", "snpi > 0"), "did you mean 'snip'"),
        ("candidates", ("--where", "snip >"), "cannot read the condition"),
        ("candidates", ("--where", "__import__('os')"), "cannot use"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, user_file, name, options, message):
    result = run("rank", f"{user_file}:{name}", *DATA, *options)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
