from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocost.combine import agreement, consensus, log_rank

whole = st.integers(-1000, 1000).map(float)
tables = (
    st.integers(1, 3)
    .flatmap(lambda width: st.lists(st.lists(whole, min_size=width, max_size=width), min_size=1, max_size=8))
    .map(pd.DataFrame)
)


def test_worked_by_hand():
    scores = pd.DataFrame({"a": [1.0, 5.0, 3.0], "b": [9.0, 2.0, 2.0]}, index=["x", "y", "z"])
    expected = {
        "x": math.log(1 / 3) + math.log(3 / 3),
        "y": math.log(3 / 3) + math.log(1.5 / 3),
        "z": math.log(2 / 3) + math.log(1.5 / 3),
    }
    assert log_rank(scores).to_dict() == pytest.approx(expected)


@given(tables)
def test_it_depends_on_ranks_alone_and_is_at_most_zero(scores):
    combined = log_rank(scores)
    assert (combined <= 0).all()
    pd.testing.assert_series_equal(log_rank(np.sign(scores) * scores**2 / 7 + 3), combined)


@given(tables, st.randoms())
def test_the_order_of_rows_and_columns_does_not_matter(scores, random):
    rows, columns = (random.sample(list(axis), len(axis)) for axis in (scores.index, scores.columns))
    shuffled = log_rank(scores.loc[rows, columns])
    pd.testing.assert_series_equal(shuffled.loc[scores.index], log_rank(scores), check_exact=False)


def test_one_bad_rank_weighs_more_than_one_good_rank_gains():
    scores = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 2, 1]}, index=["extreme", "middle", "other"])
    assert log_rank(scores).idxmax() == "middle"


def test_a_failed_score_neither_helps_nor_hurts():
    scores = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [1.0, 2.0, 3.0]})
    combined = log_rank(scores)
    assert combined[2] == pytest.approx(2 * math.log(3 / 3))
    assert combined[1] == pytest.approx(math.log(2 / 2) + math.log(2 / 3))


def test_no_score_at_all_comes_last():
    scores = pd.DataFrame({"a": [np.nan, 1.0], "b": [np.nan, np.nan]})
    assert log_rank(scores).tolist() == [-math.inf, 0.0]
    assert log_rank(pd.DataFrame({"a": [np.nan]})).tolist() == [-math.inf]
    assert log_rank(pd.DataFrame({"a": []}, dtype=float)).empty


def test_agreement_is_spearmans_correlation_with_the_mean_of_the_others_by_their_own_agreement():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    noises = {"a": 0.2, "b": 0.5, "c": 1, "d": 9, "e": 9}
    scores = pd.DataFrame({name: truth + noise * rng.normal(size=400) for name, noise in noises.items()})
    scores.loc[::7, "b"] = np.nan
    ranks, found = scores.rank() / scores.notna().sum(), agreement(scores)
    for name, value in found.items():
        others = pd.Series(found).drop(name)
        sums = ranks[others.index].mul(others).sum(axis=1) / ranks[others.index].notna().mul(others).sum(axis=1)
        assert value == pytest.approx(max(0, ranks[name].corr(sums, method="spearman")), abs=0.01)


def test_noise_is_no_measure_for_the_rest():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=300)
    good = {name: truth + 0.5 * rng.normal(size=300) for name in "ab"}
    noise = {f"noise{k}": rng.normal(size=300) for k in range(4)}
    found = agreement(pd.DataFrame({**good, **noise}))
    alone = pd.DataFrame(good).corr("spearman").loc["a", "b"]
    assert min(found["a"], found["b"]) > 0.9 * alone
    assert max(found[name] for name in noise) < 0.2


def test_consensus_leaves_out_what_agrees_with_nothing_and_keeps_a_reference():
    truth = pd.Series(np.arange(40.0))
    scores = pd.DataFrame({"a": truth, "b": truth, "c": truth, "against": -truth})
    assert agreement(scores)["against"] == 0
    assert consensus(scores).rank().tolist() == truth.rank().tolist()
    assert consensus(scores, {"against": -1.0}).rank().tolist() == truth.rank().tolist()
    alone = consensus(scores.tail(1), reference=scores)
    assert alone.tolist() == pytest.approx(consensus(scores, reference=scores).tail(1).tolist())


@pytest.mark.parametrize("columns", [["a"], ["a", "b"]])
def test_one_or_two_columns_all_agree(columns):
    scores = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 2, 1]})[columns]
    assert set(agreement(scores).values()) == {1.0}
    assert consensus(scores).tolist() == log_rank(scores).tolist()
