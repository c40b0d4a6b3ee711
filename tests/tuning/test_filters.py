from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.combine import Combination
from zerocost.tuning.filters import Passed, passed, passes, threshold, valued


def table(count=50, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    accuracy = pd.Series(rng.uniform(size=count), [f"net-{i}" for i in range(count)])
    scores = pd.DataFrame({"snip": accuracy + noise * rng.normal(size=count), "depth": -accuracy})
    return scores, accuracy


@pytest.mark.parametrize("weights", [{"snip": 1.0}, {"depth": -1.0}, {"snip": 0.5, "depth": -1.0}])
def test_the_best_pass_with_a_margin_and_the_worst_do_not(weights):
    scores, accuracy = table()
    combination = Combination(weights).against(scores)
    text = threshold(combination, scores, accuracy)
    passing = passes(text, valued(combination, scores))
    assert passing[accuracy >= accuracy.quantile(0.8)].all()
    assert passing.sum() == 15
    assert passed(combination, scores, accuracy, scores, accuracy) == Passed(10, 10, 40, 5)


def test_a_score_that_failed_for_one_of_the_best_is_no_threshold():
    scores, accuracy = table()
    scores.loc[accuracy.idxmax(), "snip"] = np.nan
    combination = Combination({"snip": 1.0, "depth": -1.0})
    assert not threshold(combination, scores, accuracy).startswith("snip")


def test_a_score_with_options_has_no_name_for_a_condition():
    scores, accuracy = table()
    scores = scores.rename(columns={"snip": "zico(parts=4)"})
    assert threshold(Combination({"zico(parts=4)": 1.0}), scores, accuracy).startswith("rank_score >= ")


def test_where_the_best_score_lowest_nothing_is_dropped():
    scores, accuracy = table()
    combination = Combination({"depth": 1.0}).against(scores)
    assert threshold(combination, scores, accuracy) is None
    assert passed(combination, scores, accuracy, scores, accuracy) == Passed(10, 10, 40, 40)


@pytest.mark.parametrize(
    ("counts", "trusted"),
    [((20, 19, 80, 40), True), ((20, 18, 80, 40), False), ((20, 20, 80, 75), False), ((0, 0, 9, 0), False)],
)
def test_a_threshold_is_trusted_that_keeps_the_best_and_drops_others(counts, trusted):
    assert Passed(*counts).trusted is trusted
    assert Passed(*counts) + Passed(0, 0, 0, 0) == Passed(*counts)
