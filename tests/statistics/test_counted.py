from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocost.statistics import counted, ranking

_K = 3
_STATISTICS = {
    "spearman": lambda of, s, t, z, *n: of.spearman(s, t, *n),
    "kendall": lambda of, s, t, z, *n: of.kendall(s, t, *n),
    "top_kendall": lambda of, s, t, z, *n: of.top_kendall(s, t, *n, share=0.3),
    "binned_kendall": lambda of, s, t, z, *n: of.binned_kendall(s, t, z, *n),
    "partial_spearman": lambda of, s, t, z, *n: of.partial_spearman(s, t, z, *n),
    "ndcg": lambda of, s, t, z, *n: of.ndcg(s, t, *n, share=0.3),
    "ndcg_vkdnw": lambda of, s, t, z, *n: of.ndcg_vkdnw(s, t, *n, share=0.3),
    "precision_at": lambda of, s, t, z, *n: of.precision_at(s, t, *n, _K),
    "best_rank_at": lambda of, s, t, z, *n: of.best_rank_at(s, t, *n, _K),
    "regret_at": lambda of, s, t, z, *n: of.regret_at(s, t, *n, _K),
}


@pytest.mark.parametrize("name", _STATISTICS)
@given(st.integers(0, 2**32 - 1), st.integers(_K, 60), st.sampled_from([1, 3, 100]))
@settings(max_examples=60, deadline=None)
def test_each_statistic_is_that_of_the_drawn_architectures(name, seed, n, levels):
    rng = np.random.default_rng(seed)
    scores, truth, size = np.round(levels * rng.normal(size=(3, n)))
    scores[rng.random(n) < 0.2] = -np.inf
    truth = np.abs(truth)
    places = np.sort(rng.integers(n, size=(4, n)), axis=1)
    counts = np.stack([np.bincount(row, minlength=n) for row in places]).astype(float)
    statistic = _STATISTICS[name]
    with np.errstate(invalid="ignore"):
        expected = statistic(ranking, *(values[places] for values in (scores, truth, size)))
    assert statistic(counted, scores, truth, size, counts) == pytest.approx(expected, nan_ok=True, abs=1e-9)


def test_kendall_of_large_levels_and_many_single_values_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(2, 2_000))
    scores[:900], truth[300:1_500] = 0, 1
    [found] = counted.kendall(scores, truth, np.ones((1, 2_000)))
    assert found == pytest.approx(ranking.kendall(scores, truth))


def test_the_exponential_gain_of_what_is_far_above_all_that_was_drawn_counts_nothing():
    scores, truth = np.array([1.0, 2.0, 3.0]), np.array([10.0, 11.0, 5_000.0])
    assert counted.ndcg_vkdnw(scores, truth, np.array([[2.0, 1.0, 0.0]]), share=1) == pytest.approx([1])
