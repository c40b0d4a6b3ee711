from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zerocost.report.progress import MARGIN, STEPS, best_so_far
from zerocost.statistics.pareto import fronts, hypervolume


def test_what_is_small_is_better_falls():
    assert best_so_far(pd.DataFrame({"latency": [3.0, 4.0, np.nan, 1.0]})).tolist() == [3, 3, 3, 1]


points = st.lists(st.tuples(*[st.floats(0, 10) | st.just(np.nan)] * 2), min_size=2, max_size=30)


@given(points)
def test_the_front_so_far_only_grows(found):
    frame = pd.DataFrame(found, columns=["snip", "params"])
    reached = best_so_far(frame)
    assert reached.is_monotonic_increasing or (np.diff(reached) > -1e-9).all()
    assert not len(reached) or reached.iloc[-1] == pytest.approx(1)


@given(points)
@example([(0.0, 0.0), (0.0, 2.3e-309), (np.nan, 1.0)])
def test_each_step_is_the_hypervolume_of_all_until_then(found):
    frame = pd.DataFrame(found, columns=["snip", "grasp"])
    known = frame.dropna()
    low, span = known.min(), (known.max() - known.min())
    scaled = ((frame - low) / span.where(span > 0)).where(frame.isna() | (span > 0), 1.0).to_numpy()
    reference = [-MARGIN] * 2
    for count, share in best_so_far(frame).items():
        whole = hypervolume(scaled, reference)
        assert share == pytest.approx(hypervolume(scaled[:count], reference) / whole)


def test_of_many_objectives_the_front_is_counted():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 4)), columns=["a", "b", "c", "params"])
    last = best_so_far(frame).iloc[-1]
    assert last == (fronts(frame.to_numpy() * [1, 1, 1, -1]) == 0).sum()


def test_a_long_search_is_measured_at_few_points():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(5000, 2)), columns=["a", "params"])
    reached = best_so_far(frame)
    assert len(reached) <= STEPS
    assert reached.index[-1] == 5000
