from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest
from torch import nn

from zerocost.base.errors import InputError
from zerocost.combine import Combination
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.table import RankingInterrupted, ScoreTable

A, BOTH = Combination({"a": 1}), Combination({"a": 1, "b": 1})


def table(**scores):
    """A table of candidates with scores (None for a failed one) of proxies a and b, and params."""
    cards = {}
    for name, (a, b, params) in scores.items():
        values = {"a": a, "b": b, "params": params}
        cards[name] = ScoreCard(
            {p: v for p, v in values.items() if v is not None}, {p: f"no {p}" for p, v in values.items() if v is None}
        )
    return ScoreTable.of(cards, dict.fromkeys(cards, nn.Identity), BOTH, ["a", "b", "params"], 1.5)


def test_best_first_by_the_combined_rank():
    made = table(poor=(1, 1, 9), best=(3, 3, 1), fair=(2, 2, 5))
    assert list(made.frame.index) == ["best", "fair", "poor"]
    assert list(made.frame.columns) == ["a", "b", "params", "rank_score"]
    assert made.frame["rank_score"].is_monotonic_decreasing and made.frame.at["best", "rank_score"] == 0
    assert len(made) == 3 and made.seconds == 1.5 and made.proxies == ["a", "b"]


def test_candidates_beyond_a_reference_go_by_their_ranks_among_themselves():
    fixed = A.against(pd.DataFrame({"a": [1.0, 2.0]}))
    cards = {name: ScoreCard({"a": value}, {}) for name, value in {"low": 1.5, "high": 3.0, "highest": 4.0}.items()}
    made = ScoreTable.of(cards, dict.fromkeys(cards, nn.Identity), fixed, ["a"], 0.0)
    assert made.frame["rank_score"].to_dict() == {"highest": 0.0, "high": 0.0, "low": pytest.approx(math.log(2 / 3))}
    assert list(made.frame.index) == ["highest", "high", "low"]


def test_a_table_says_what_it_is_ranked_by():
    made = table(poor=(1, 1, 9), best=(3, 3, 1))
    assert made.ranked_by == "the log-rank sum of a, b"
    other = dataclasses.replace(made, ranked_by="fronts of a, params", proxies=["a", "params"]).narrow(["best"], {})
    assert (other.ranked_by, other.proxies) == ("fronts of a, params", ["a", "params"])


def test_params_are_shown_but_do_not_rank():
    big, small = table(x=(1, 1, 9), y=(2, 2, 1)), table(x=(1, 1, 1), y=(2, 2, 9))
    assert list(big.frame.index) == list(small.frame.index) == ["y", "x"]


def test_failures_keep_their_reasons_and_the_failed_come_last():
    made = table(dead=(None, None, None), half=(None, 1, 4), whole=(1, 2, 4))
    assert list(made.frame.index)[-1] == "dead" and made.frame.at["dead", "rank_score"] == -math.inf
    assert math.isnan(made.frame.at["half", "a"])
    assert set(map(tuple, made.failures.to_numpy())) == {
        *(("dead", p, f"no {p}") for p in ("a", "b", "params")),
        ("half", "a", "no a"),
    }
    assert "scores failed for 2 candidates, see .failures" in repr(made)
    assert "failed" not in repr(table(x=(1, 1, 1)))


def test_narrowing_keeps_order_reasons_and_what_was_dropped_before():
    made = table(x=(1, 1, 1), y=(2, 2, 2), z=(3, 3, 3))
    once = made.narrow(["z", "x"], {"y": "why y"})
    twice = once.narrow(["x"], {"z": "why z"})
    assert list(twice.frame.index) == list(twice.cards) == list(twice.candidates) == ["x"]
    assert twice.dropped == {"y": "why y", "z": "why z"} and made.dropped == {}
    assert twice.frame.at["x", "rank_score"] == made.frame.at["x", "rank_score"]


def test_a_column_that_is_not_there():
    with pytest.raises(InputError, match="no column 'c'; it has a, b, params, rank_score"):
        table(x=(1, 1, 1)).column("c")


def test_the_spread_has_a_row_a_candidate_and_a_column_for_what_was_repeated():
    cards = {
        "x": ScoreCard({"a": 1.0, "b": 2.0, "params": 3.0}, {}, spread={"a": 0.5}),
        "y": ScoreCard({"a": 2.0, "params": 4.0}, {"b": "no b"}, spread={"a": 0.25, "b": math.nan}),
    }
    made = ScoreTable.of(cards, dict.fromkeys(cards, nn.Identity), A, ["a", "b", "params"], 0.0)
    assert list(made.spread.columns) == ["a"] and made.spread.loc[["x", "y"], "a"].tolist() == [0.5, 0.25]
    assert list(made.spread.index) == list(made.frame.index) == ["y", "x"]
    assert list(made.narrow(["x"], {}).spread.index) == ["x"]
    assert table(x=(1, 1, 1)).spread.empty


def test_an_empty_table_and_an_interruption():
    empty = ScoreTable.of({}, {}, A, ["a", "params"], 0.0)
    assert len(empty) == 0 and empty.failures.empty and isinstance(repr(empty), str)
    stopped = RankingInterrupted(table(x=(1, 1, 1)))
    assert isinstance(stopped, KeyboardInterrupt) and len(stopped.table) == 1 and "1 candidate " in str(stopped)
