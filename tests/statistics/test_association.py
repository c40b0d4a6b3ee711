from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zerocost.statistics.association import ENOUGH, association, mean_difference, mean_interval

fractions = st.floats(0, 1, allow_nan=False).map(lambda v: round(v, 3))
samples = st.lists(fractions, min_size=2, max_size=12)


def test_difference_agrees_with_scipy():
    a, b = [0.71, 0.74, 0.69, 0.75], [0.66, 0.61, 0.7]
    found = mean_difference(a, b)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert found.value == pytest.approx(np.mean(a) - np.mean(b))
    assert found.interval == pytest.approx((expected.low, expected.high))


@given(samples, samples)
def test_difference_turns_its_sign_with_the_groups(a, b):
    there, back = mean_difference(a, b), mean_difference(b, a)
    assert there.value == pytest.approx(-back.value)
    if there.interval:
        low, high = there.interval
        assert low <= there.value <= high
        assert back.interval == pytest.approx((-high, -low))


@pytest.mark.parametrize(("a", "b"), [([0.7], [0.5, 0.6]), ([0.7, 0.7], [0.5, 0.5])])
def test_no_interval_without_spread_to_judge_by(a, b):
    assert mean_difference(a, b).interval is None


def test_mean_interval_agrees_with_scipy():
    x = [0.5, 0.7, 0.65, 0.8]
    expected = stats.t.interval(0.95, len(x) - 1, loc=np.mean(x), scale=stats.sem(x))
    assert mean_interval(x) == pytest.approx(expected)
    assert mean_interval([0.5]) is None


def test_association_agrees_with_scipy_and_skips_missing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    y = x + rng.normal(size=20)
    found = association([*x, np.nan], [*y, 0.5])
    assert found.n == 20
    assert found.kendall == pytest.approx(stats.kendalltau(x, y).statistic)
    assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic)


@given(st.lists(st.tuples(st.integers(-50, 50), fractions), min_size=ENOUGH, max_size=30))
def test_association_sees_order_alone(pairs):
    x, y = (np.array(side, float) for side in zip(*pairs, strict=True))
    found, moved, turned = association(x, y), association(x**3, y), association(-x, y)
    if found.kendall is None:
        return
    assert moved.kendall == pytest.approx(found.kendall)
    assert turned.kendall == pytest.approx(-found.kendall)
    low, high = found.interval
    assert -1 <= low <= found.kendall <= high <= 1
    assert low < high


@pytest.mark.parametrize(("x", "y", "n"), [([], [], 0), ([1, 2], [0.1, 0.2], 2), ([1, 1, 1], [0.1, 0.2, 0.3], 3)])
def test_no_correlation_of_too_few_or_of_equal_values(x, y, n):
    found = association(x, y)
    assert (found.n, found.kendall, found.spearman, found.interval) == (n, None, None, None)


def test_interval_narrows_with_more_candidates():
    widths = []
    for n in (10, 40, 160):
        x = np.arange(n)
        low, high = association(x, np.where(x % 3, x, -x)).interval
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
