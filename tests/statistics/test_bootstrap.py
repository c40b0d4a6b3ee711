from __future__ import annotations

import numpy as np
import pytest

from zerocost.statistics import bootstrap, counted


def pool(n: int) -> bootstrap.Pool:
    rng = np.random.default_rng(3)
    truth = rng.uniform(80, 95, n)
    return bootstrap.Pool(truth, truth, rng.uniform(size=n), rng.uniform(size=n))


def test_every_statistic_is_finite_for_scores_without_ties():
    scores, given = np.random.default_rng(0).normal(size=(1, 100)), pool(100)
    found = bootstrap.resample_statistics(scores, given, bootstrap.statistics_by_name(5), 20, seed=0)
    assert {len(values) for values in found.values()} == {20}
    assert all(np.isfinite(values).all() for values in found.values())


def test_resamples_depend_on_the_seed_alone():
    first, again, other = (np.concatenate([*bootstrap.resampled_places(5, 7, seed)]) for seed in (0, 0, 1))
    assert first.shape == (7, 5)
    assert (first == again).all()
    assert (first != other).any()


def test_blocks_of_resamples_are_the_same_as_one(monkeypatch):
    scores, given, wanted = np.random.default_rng(0).normal(size=(2, 30)), pool(30), bootstrap.statistics_by_name(3)
    rng = np.random.default_rng(4)
    places = rng.integers(30, size=(6, 30))
    monkeypatch.setattr(bootstrap, "resampled_places", lambda n, count, seed: iter([places]))
    whole = bootstrap.resample_statistics(scores, given, wanted, 6, seed=0)
    monkeypatch.setattr(bootstrap, "resampled_places", lambda n, count, seed: iter(np.split(places, 3)))
    parts = bootstrap.resample_statistics(scores, given, wanted, 6, seed=0)
    for name in wanted:
        assert parts[name] == pytest.approx(whole[name], nan_ok=True)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for trial in range(60):
        rng = np.random.default_rng(trial)
        truth = rng.normal(size=60)
        scores = truth + rng.normal(size=60)
        given = bootstrap.Pool(truth, truth, truth, truth)
        wanted = {"kendall": lambda s, p, n: counted.kendall(s, p.truth, n)}
        low, high = bootstrap.percentile_interval(
            bootstrap.resample_statistics(scores[None], given, wanted, 200, seed=trial)["kendall"]
        )
        covered += low <= 0.5 <= high  # 2/π·arcsin(√½), the correlation of the whole population
    assert covered >= 51


def test_seeds_that_disagree_widen_the_interval():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    given, wanted = bootstrap.Pool(truth, truth, truth, truth), {"r": lambda s, p, n: counted.spearman(s, p.truth, n)}
    noise = rng.normal(size=400)
    alike = np.stack([truth + 0.5 * noise] * 3)
    apart = np.stack([truth + scale * noise for scale in (0.1, 0.5, 2.0)])
    (low, high), (lower, higher) = (
        bootstrap.percentile_interval(bootstrap.resample_statistics(scores, given, wanted, 300, seed=0)["r"])
        for scores in (alike, apart)
    )
    assert higher - lower > 3 * (high - low)


def test_an_interval_leaves_out_resamples_without_a_value():
    assert bootstrap.percentile_interval(np.array([np.nan, 1.0, 1.0])) == (1, 1)
    assert np.isnan(bootstrap.percentile_interval(np.array([np.nan]))).all()
