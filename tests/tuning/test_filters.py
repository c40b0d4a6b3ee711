from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.combine import Combination
from zerocost.tuning.filters import PassCounts, count_passed, filter_columns, safe_threshold, satisfies


def table(count=50, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    accuracy = pd.Series(rng.uniform(size=count), [f"net-{i}" for i in range(count)])
    scores = pd.DataFrame({"snip": accuracy + noise * rng.normal(size=count), "depth": -accuracy})
    return scores, accuracy


@pytest.mark.parametrize("weights", [{"snip": 1.0}, {"depth": -1.0}, {"snip": 0.5, "depth": -1.0}])
def test_the_best_pass_with_a_margin_and_the_worst_do_not(weights):
    scores, accuracy = table()
    combination = Combination(weights).against(scores)
    text = safe_threshold(combination, scores, accuracy)
    passing = satisfies(text, filter_columns(combination, scores))
    assert passing[accuracy >= accuracy.quantile(0.8)].all()
    assert passing.sum() == 15
    assert count_passed(combination, scores, accuracy, scores, accuracy) == PassCounts(10, 10, 40, 5)


def test_a_score_that_failed_for_one_of_the_best_is_no_threshold():
    scores, accuracy = table()
    scores.loc[accuracy.idxmax(), "snip"] = np.nan
    combination = Combination({"snip": 1.0, "depth": -1.0})
    assert not safe_threshold(combination, scores, accuracy).startswith("snip")


def test_a_score_with_options_has_no_name_for_a_condition():
    scores, accuracy = table()
    scores = scores.rename(columns={"snip": "zico(parts=4)"})
    assert safe_threshold(Combination({"zico(parts=4)": 1.0}), scores, accuracy).startswith("rank_score >= ")


def test_where_the_best_score_lowest_nothing_is_dropped():
    scores, accuracy = table()
    combination = Combination({"depth": 1.0}).against(scores)
    assert safe_threshold(combination, scores, accuracy) is None
    assert count_passed(combination, scores, accuracy, scores, accuracy) == PassCounts(10, 10, 40, 40)


@pytest.mark.parametrize(
    ("counts", "reliable"),
    [((20, 19, 80, 40), True), ((20, 18, 80, 40), False), ((20, 20, 80, 75), False), ((0, 0, 9, 0), False)],
)
def test_a_threshold_is_reliable_that_passes_the_best_and_drops_others(counts, reliable):
    assert PassCounts(*counts).reliable is reliable
    assert PassCounts(*counts) + PassCounts(0, 0, 0, 0) == PassCounts(*counts)
