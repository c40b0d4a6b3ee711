from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocost.base.errors import InputError
from zerocost.combine import Combination
from zerocost.scoring.explanation import rank_beyond_size
from zerocost.scoring.select import select
from zerocost.scoring.table import ScoreTable


def table(frame: pd.DataFrame, combination: Combination) -> ScoreTable:
    """The table that ranking the given scores would return."""
    ranked = frame.assign(rank_score=combination(frame)).sort_values("rank_score", ascending=False, kind="stable")
    return ScoreTable(ranked, combination, {}, {})


def pool(count: int = 40, seed: int = 0) -> pd.DataFrame:
    """`big` follows params closely, `other` does not; `twin` has the order of `big`."""
    rng = np.random.default_rng(seed)
    params = np.exp(rng.normal(11, 1, count)).round()
    big = np.log(params) + rng.normal(0, 0.3, count)
    scores = {"big": big, "other": rng.normal(size=count), "twin": 3 * big, "params": params}
    return pd.DataFrame(scores, index=[f"net {i}" for i in range(count)])


BOTH = Combination({"big": 1, "other": 1})
WEIGHTED = Combination({"big": 0.5, "other": 1, "params": -0.25}, method="rank_mean")


def test_worked_by_hand():
    frame = pd.DataFrame({"a": [1.0, 2, 3], "b": [2.0, 3, 1], "params": [1.0, 2, 3]}, index=["x", "y", "z"])
    why = table(frame, Combination({"a": 1, "b": 1})).explained()
    third, two = math.log(1 / 3), math.log(2 / 3)
    assert why.place.to_dict() == {"y": 1, "z": 2, "x": 3}
    mean = (third + two) / 3
    assert why.moved.a.to_dict() == pytest.approx({"y": two - mean, "z": -mean, "x": third - mean})
    assert why.climbed.a.to_dict() == {"y": 0, "z": 1, "x": -1}
    assert why.climbed.b.to_dict() == {"y": 1, "z": -1, "x": 0}
    assert why.proxies.tau_without.to_dict() == pytest.approx({"a": 1 / 3, "b": 1 / 3})
    assert why.proxies.replaced.to_dict() == {"a": 0, "b": 1}
    assert why.follows and why.top == 1


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 30), st.integers(0, 10**6), st.sampled_from([BOTH, WEIGHTED]))
def test_moves_sum_to_what_the_score_has_above_the_mean(count, seed, combination):
    why = table(pool(count, seed), combination).explained()
    pd.testing.assert_series_equal(why.moved.sum(axis=1), why.score - why.score.mean(), check_names=False)
    assert why.moved.mean().abs().max() < 1e-12


@pytest.mark.parametrize("method", ["log_rank", "rank_mean", "vote"])
def test_leaving_one_out_is_what_ranking_without_it_gives(method):
    frame = pool()
    why = table(frame, Combination({"big": 1, "other": 0.5, "twin": 1}, method=method)).explained()
    alone = Combination({"big": 1, "twin": 1}, method=method)(frame).rank(ascending=False, method="min")
    pd.testing.assert_series_equal(
        why.climbed.other, alone.reindex(why.place.index) - why.place, check_names=False, check_dtype=False
    )


def test_a_vote_has_places_but_no_parts():
    why = table(pool(), Combination({"big": 1, "other": 1, "twin": 1}, method="vote")).explained()
    assert why.moved.isna().all(axis=None)
    assert why.climbed.notna().all(axis=None)


def test_a_redundant_proxy_is_named_and_changes_little():
    proxies = table(pool(), Combination({"big": 1, "other": 1, "twin": 1})).explained().proxies
    assert proxies.closest.to_dict() == {"big": "twin", "twin": "big", "other": proxies.closest["other"]}
    assert proxies.redundancy["twin"] == pytest.approx(1)
    assert proxies.tau_without["twin"] > proxies.tau_without["other"]
    assert proxies.replaced["other"] >= proxies.replaced["twin"]


def test_of_negative_weight_counts_as_it_is_ranked():
    why = table(pool(), Combination({"big": -1, "other": 0.1})).explained()
    assert why.proxies.weight["big"] == -1
    assert why.proxies.spearman["big"] > 0.9
    assert why.sizes.params["big"] < -0.8
    assert "the smaller the better" in why.about_size()


def test_a_reference_is_what_terms_are_among():
    frame, sample = pool(12), pool(200, seed=7)
    why = table(frame, BOTH.against(sample)).explained()
    terms = BOTH.against(sample).terms(frame)[["big", "other"]].reindex(why.place.index)
    pd.testing.assert_frame_equal(why.moved, terms - terms.mean())
    assert why.follows


def test_size_explains_a_score_that_is_size():
    why = table(pool().assign(big=lambda f: f.params), Combination({"big": 1})).explained()
    assert why.about_size() == (
        "100 % of the score’s order is explained by params alone (Spearman 1.00). Nothing is left without size."
    )
    assert why.sizeless.isna().all()
    assert math.isnan(why.proxies.beyond_size["big"])


def test_without_size_the_order_has_no_relation_to_it():
    frame = pool(300).assign(flops=lambda f: -f.params)
    why = table(frame, BOTH).explained(top=20)
    assert list(why.sizes) == ["params", "flops"]
    assert list(why.sizes.index) == ["score", "big", "other"]
    assert why.sizes.flops["score"] == pytest.approx(-why.sizes.params["score"])
    assert why.sizes.params["score"] > 0.5
    assert abs(why.sizeless.corr(frame.params, method="spearman")) < 0.1
    rest = rank_beyond_size(why.score, frame.params.reindex(why.score.index))
    assert rest.corr(frame.params.rank()) == pytest.approx(0, abs=1e-9)
    assert rest.sum() == pytest.approx(0, abs=1e-6)
    assert why.proxies.beyond_size["other"] > why.proxies.spearman["other"]


def test_rises_and_falls_are_of_the_top():
    why = table(pool(100), BOTH).explained(top=5)
    assert (why.sizeless[why.rises.index] <= 5).all() and (why.rises > 0).all()
    assert (why.place[why.falls.index] <= 5).all() and (why.falls > 0).all()
    riser, faller = why.rises.index[0], why.falls.index[0]
    share = round(100 * why.sizes.params["score"] ** 2)
    assert why.about_size(lambda name: f"<{name}>") == (
        f"{share} % of the score’s order is explained by params alone (Spearman {why.sizes.params['score']:.2f}). "
        f"Without size, <{riser}> rises from {why.place[riser]:.0f} to {why.sizeless[riser]:.0f} and "
        f"<{faller}> falls from {why.place[faller]:.0f} to {why.sizeless[faller]:.0f}."
    )


def test_failed_scores_have_no_part_in_it():
    frame = pool(30)
    frame.loc["net 3", "other"] = np.nan
    frame.loc["net 4"] = np.nan
    frame.loc["net 5", ["big", "other"]] = np.nan
    why = table(frame, BOTH).explained()
    assert math.isnan(why.moved.other["net 3"]) and math.isfinite(why.moved.big["net 3"])
    assert math.isnan(why.climbed.big["net 3"]), "without big it would have no score"
    assert why.place[["net 4", "net 5"]].isna().all() and why.score["net 5"] == -math.inf
    assert why.proxies.drop(columns="closest").notna().all(axis=None)
    rest = table(frame.drop(index=["net 4", "net 5"]), BOTH).explained()
    pd.testing.assert_frame_equal(rest.sizes, why.sizes)
    pd.testing.assert_frame_equal(rest.proxies, why.proxies)


@pytest.mark.parametrize(
    ("frame", "proxies"),
    [
        (pool(1), ["big", "other"]),
        (pool(2), ["big"]),
        (pool().assign(big=1.0, params=5.0), ["big", "other"]),
        (pool().assign(big=1.0, other=2.0), ["big", "other"]),
        (pool().assign(big=np.nan), ["big", "other"]),
        (pool().assign(big=np.nan, other=np.nan), ["big", "other"]),
        (pool().assign(params=np.nan), ["big", "other"]),
        (pool().drop(columns="params"), ["big", "other"]),
        (pool().iloc[:0], ["big", "other"]),
    ],
)
def test_every_table_has_an_explanation(frame, proxies):
    why = table(frame, Combination(dict.fromkeys(proxies, 1.0))).explained()
    assert why.moved.shape == why.climbed.shape == (len(frame), len(proxies))
    assert list(why.proxies.index) == proxies
    assert why.about_size()


def test_one_proxy_has_no_ranking_without_it():
    why = table(pool(), Combination({"big": 1})).explained()
    assert why.climbed.isna().all(axis=None)
    assert why.proxies.loc["big", ["tau_without", "replaced", "redundancy"]].isna().all()
    assert why.proxies.closest["big"] == ""


def test_it_says_when_the_table_is_in_another_order():
    ranked = table(pool(), BOTH)
    assert ranked.explained().follows
    assert not ranked.explained(Combination({"other": 1})).follows
    backwards = replace(ranked, frame=ranked.frame.assign(rank_score=-ranked.frame.rank_score))
    assert not backwards.explained().follows


def test_a_selection_is_explained_where_there_is_a_reference():
    reference = BOTH.against(pool(200, seed=1))
    ranked = table(pool(), reference)
    ranked = replace(ranked, cards=dict.fromkeys(ranked.frame.index), candidates=dict.fromkeys(ranked.frame.index))
    assert select(ranked, top=10).explained().follows


def test_the_top_is_a_tenth_unless_told():
    ranked = table(pool(31), BOTH)
    assert ranked.explained().top == 4
    assert ranked.explained(top=500).top == 31
    with pytest.raises(InputError, match="top must be a whole number from 1, but got 0"):
        ranked.explained(top=0)


def test_a_table_without_the_scores_is_refused():
    with pytest.raises(InputError, match="no scores of snip"):
        table(pool(), BOTH).explained(Combination({"snip": 1}))


def test_it_reads_as_the_table_of_proxies_and_the_sentence():
    why = table(pool(), BOTH).explained()
    first, *_, last = repr(why).splitlines()
    assert "tau_without" in first
    assert last == why.about_size()
