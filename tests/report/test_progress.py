from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zerocost.combine import as_combination
from zerocost.report import progress as goals
from zerocost.search.objectives import Objectives
from zerocost.statistics.pareto import fronts, hypervolume


def test_values_of_several_objectives_are_those_of_the_search(found):
    expected = Objectives(("score", "params"), as_combination("log_synflow,jacob_cov")).values(found.table.frame)
    pd.testing.assert_frame_equal(goals.objective_values(found, found.table), expected)


def test_a_ranking_wants_its_rank_score(result):
    values = goals.objective_values(result, result.table)["score"]
    assert values.dropna().tolist() == result.table.frame["rank_score"][:200].tolist()
    assert values.isna().sum() == 3


def test_history_goes_by_the_first_fidelity_in_the_order_proposed(found):
    proposed = goals.values_as_proposed(found)
    assert list(proposed.index) == found.order
    assert proposed["params"].tolist() == found.earlier[0].frame["params"][found.order].tolist()


def test_what_is_small_is_better_falls():
    assert goals.best_so_far(pd.DataFrame({"latency": [3.0, 4.0, np.nan, 1.0]})).tolist() == [3, 3, 3, 1]


points = st.lists(st.tuples(*[st.floats(0, 10) | st.just(np.nan)] * 2), min_size=2, max_size=30)


@given(points)
def test_the_front_so_far_only_grows(found):
    frame = pd.DataFrame(found, columns=["snip", "params"])
    reached = goals.best_so_far(frame)
    assert reached.is_monotonic_increasing or (np.diff(reached) > -1e-9).all()
    assert not len(reached) or reached.iloc[-1] == pytest.approx(1)


@given(points)
@example([(0.0, 0.0), (0.0, 2.3e-309), (np.nan, 1.0)])
def test_each_step_is_the_hypervolume_of_all_until_then(found):
    frame = pd.DataFrame(found, columns=["snip", "grasp"])
    known = frame.dropna()
    low, span = known.min(), (known.max() - known.min())
    scaled = ((frame - low) / span.where(span > 0)).where(frame.isna() | (span > 0), 1.0).to_numpy()
    reference = [-goals.MARGIN] * 2
    for count, share in goals.best_so_far(frame).items():
        whole = hypervolume(scaled, reference)
        assert share == pytest.approx(hypervolume(scaled[:count], reference) / whole)


def test_of_many_objectives_the_front_is_counted():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 4)), columns=["a", "b", "c", "params"])
    last = goals.best_so_far(frame).iloc[-1]
    assert last == (fronts(frame.to_numpy() * [1, 1, 1, -1]) == 0).sum()


def test_a_long_search_is_measured_at_few_points():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(5000, 2)), columns=["a", "params"])
    reached = goals.best_so_far(frame)
    assert len(reached) <= goals.STEPS
    assert reached.index[-1] == 5000


def test_ladder_compares_the_same_candidates(found):
    (rung,) = goals.fidelity_steps(found)
    low, high = found.earlier[0].frame, found.table.frame
    names = list(high.index)
    assert (rung.before, rung.after, rung.total, len(rung.ranks)) == ("width=0.5", "full", 60, 15)
    assert sorted(rung.ranks["after"]) == list(range(1, 16))
    assert list(rung.follows) == ["order", "score", "jacob_cov"]
    expected = low.loc[names, "jacob_cov"].corr(high["jacob_cov"], method="spearman")
    assert rung.follows["jacob_cov"].spearman == pytest.approx(expected)


def test_an_interrupted_ladder_has_the_fidelity_it_got_to(found):
    assert goals.table_fidelities(replace(found, earlier=[])) == ["width=0.5"]
    assert goals.table_fidelities(found) == ["width=0.5", "full"]
    assert goals.table_fidelities(replace(found, settings={})) == ["full", "full"]
