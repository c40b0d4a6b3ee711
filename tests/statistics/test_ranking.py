from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from zerocost.statistics import ranking as statistics

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SOME = st.integers(2, 9).flatmap(lambda n: st.tuples(*[arrays(float, n, elements=st.integers(-3, 3).map(float))] * 3))
ALL = {
    "spearman": lambda s, t, z: statistics.spearman(s, t),
    "kendall": lambda s, t, z: statistics.kendall(s, t),
    "partial": statistics.partial_spearman,
    "ndcg": lambda s, t, z: statistics.ndcg(s, t + 10, share=0.5),
    "ndcg_vkdnw": lambda s, t, z: statistics.ndcg_vkdnw(s, t + 10, share=0.5),
    "precision": lambda s, t, z: statistics.precision_at(s, t, 2),
    "best_rank": lambda s, t, z: statistics.best_rank_at(s, t, 2),
    "regret": lambda s, t, z: statistics.regret_at(s, t, 2),
}


@given(SOME)
def test_correlations_are_those_of_scipy(drawn):
    scores, truth, _ = drawn
    if np.ptp(scores) and np.ptp(truth):
        assert statistics.kendall(scores, truth) == pytest.approx(stats.kendalltau(scores, truth).statistic, abs=1e-12)
        assert statistics.spearman(scores, truth) == pytest.approx(stats.spearmanr(scores, truth).statistic, abs=1e-12)
    else:
        assert np.isnan(statistics.kendall(scores, truth))
        assert np.isnan(statistics.spearman(scores, truth))


@given(SOME, st.randoms(use_true_random=False))
def test_order_never_matters(drawn, random):
    order = list(range(len(drawn[0])))
    random.shuffle(order)
    for name, statistic in ALL.items():
        before, after = statistic(*drawn), statistic(*(v[order] for v in drawn))
        assert after == pytest.approx(before, abs=1e-9, nan_ok=True), name


@given(SOME)
def test_only_the_order_of_scores_counts(drawn):
    scores, truth, size = drawn
    for name, statistic in ALL.items():
        same = statistic(np.exp(scores), truth, size)
        assert same == pytest.approx(statistic(scores, truth, size), abs=1e-9, nan_ok=True), name


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 5), st.integers(1, 3), st.data())
def test_choices_are_means_over_all_ways_to_break_ties(n, k, data):
    k = min(k, n)
    scores, truth = (data.draw(arrays(float, n, elements=st.integers(0, 2).map(float))) for _ in range(2))
    better = np.array([(truth > t).sum() + 1 for t in truth])
    orders = [o for o in itertools.permutations(range(n)) if all(np.diff(scores[list(o)]) <= 0)]
    best_ranks = [better[list(o[:k])].min() for o in orders]
    regrets = [truth.max() - truth[list(o[:k])].max() for o in orders]
    tops = [o for o in itertools.permutations(range(n)) if all(np.diff(truth[list(o)]) <= 0)]
    shared = [len({*a[:k]} & {*b[:k]}) / k for a in orders for b in tops]
    assert statistics.best_rank_at(scores, truth, k) == pytest.approx(np.mean(best_ranks))
    assert statistics.regret_at(scores, truth, k) == pytest.approx(np.mean(regrets))
    assert statistics.precision_at(scores, truth, k) == pytest.approx(np.mean(shared))


def test_leading_axes_are_many_at_once():
    rng = np.random.default_rng(0)
    scores, truth, size = (rng.integers(0, 9, (3, 20)).astype(float) for _ in range(3))
    for name, statistic in ALL.items():
        each = [statistic(*rows) for rows in zip(scores, truth, size, strict=True)]
        assert statistic(scores, truth, size) == pytest.approx(np.array(each)), name
        shared = [statistic(row, truth[0], size[0]) for row in scores]
        assert statistic(scores, truth[0], size[0]) == pytest.approx(np.array(shared)), name


def test_a_perfect_score_has_the_best_of_each_and_a_reversed_one_the_worst():
    truth = np.random.default_rng(0).uniform(80, 95, 50)
    for statistic in (statistics.spearman, statistics.kendall, statistics.top_kendall, statistics.ndcg):
        assert statistic(truth, truth) == pytest.approx(1), statistic
    for statistic in (statistics.precision_at, statistics.best_rank_at):
        assert statistic(truth, truth, 5) == pytest.approx(1), statistic
    assert statistics.regret_at(truth, truth, 1) == 0
    assert statistics.kendall(-truth, truth) == pytest.approx(-1)
    assert statistics.regret_at(-truth, truth, 1) == pytest.approx(np.ptp(truth))
    assert statistics.best_rank_at(-truth, truth, 1) == pytest.approx(50)


def test_a_failed_score_ranks_last():
    truth = np.arange(6.0)
    failed = np.array([-np.inf, 1, 2, 3, 4, 5])
    assert statistics.kendall(failed, truth) == pytest.approx(1)
    assert statistics.spearman(failed, truth) == pytest.approx(1)
    assert statistics.regret_at(np.where(truth == 5, -np.inf, truth), truth, 1) == 1


def test_partial_correlation_is_that_of_the_residuals():
    rng = np.random.default_rng(0)
    size = rng.normal(size=80)
    score, truth = (size + rng.normal(size=80) for _ in range(2))
    ranks = np.stack([stats.rankdata(v) for v in (score, truth, size)])
    design = np.stack([np.ones(80), ranks[2]], axis=1)
    score_left, truth_left = (r - design @ np.linalg.lstsq(design, r, rcond=None)[0] for r in ranks[:2])
    expected = np.corrcoef(score_left, truth_left)[0, 1]
    assert statistics.partial_spearman(score, truth, size) == pytest.approx(expected)


def test_a_score_that_only_repeats_the_size_has_nothing_left_within_bins():
    rng = np.random.default_rng(0)
    size = np.repeat(np.arange(4.0), 10)
    truth = size + rng.uniform(size=40) / 2
    assert statistics.kendall(size, truth) > 0.8
    assert np.isnan(statistics.binned_kendall(size, truth, size))
    assert statistics.binned_kendall(truth, truth, size) == pytest.approx(1)


def test_random_scores_are_worth_what_chance_gives():
    truth = np.arange(10.0)
    nothing = np.zeros(10)
    assert statistics.precision_at(nothing, truth, 3) == pytest.approx(0.3)
    assert statistics.best_rank_at(nothing, truth, 3) == pytest.approx(11 / 4)
    assert statistics.regret_at(nothing, truth, 10) == pytest.approx(0)


def test_ndcg_is_not_thrown_off_by_percents_as_exponents():
    truth = np.array([99.9, 10.0, 0.0])
    assert statistics.ndcg_vkdnw(np.array([0.0, 2.0, 1.0]), truth, share=1) == pytest.approx(0.5)
    assert statistics.ndcg_vkdnw(np.array([0.0, 2.0, 1.0]), truth, share=0.6) == pytest.approx(0, abs=1e-12)
    assert np.isnan(statistics.ndcg_vkdnw(np.arange(3.0), np.zeros(3)))


def test_ndcg_is_that_of_scikit_learn():
    from sklearn.metrics import ndcg_score

    scores, truth = np.random.default_rng(0).normal(size=30), np.random.default_rng(1).uniform(50, 90, 30)
    for share, k in ((1, 30), (0.1, 3)):
        assert statistics.ndcg(scores, truth, share) == pytest.approx(ndcg_score([truth], [scores], k=k))


def test_published_scores_have_the_correlations_that_are_known():
    """Of NAS-Bench-Suite-Zero's scores: size explains all of zen and FLOPs, and little of jacov."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here")
    scores = pd.read_csv(SHARED / "nasbench201-cifar10-suite-zero-scores.csv", index_col="arch")
    table = pd.read_csv(SHARED / "nasbench201-cifar10.csv", index_col="arch").loc[scores.index]
    truth, size = table["test_accuracy_mean"].to_numpy(), scores["params"].to_numpy()
    for name, partial, top, overlap in (
        ("jacov", 0.755, 0.10, 0.29),
        ("nwot", 0.527, -0.12, 0.31),
        ("synflow", 0.245, 0.13, 0.42),
        ("zen", -0.30, 0.23, 0.09),
    ):
        values = scores[name].to_numpy()
        assert statistics.partial_spearman(values, truth, size) == pytest.approx(partial, abs=0.05), name
        assert statistics.top_kendall(values, truth) == pytest.approx(top, abs=0.08), name
        assert statistics.precision_at(values, truth, len(truth) // 10) == pytest.approx(overlap, abs=0.09), name
