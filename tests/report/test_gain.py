from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

import zerocost as zc
from zerocost.report import gain


@pytest.mark.parametrize(("higher", "best"), [(True, max), (False, min)])
def test_the_best_at_random_is_the_mean_best_of_all_subsets(higher, best):
    values = np.random.default_rng(0).normal(size=6).tolist()
    every = [np.mean([best(some) for some in combinations(values, n)]) for n in range(1, 7)]
    assert gain.expected_best(values, higher).to_numpy() == pytest.approx(every)


def test_a_failed_pick_is_a_training_spent_but_has_no_best():
    values = [0.4, np.nan, 0.7, np.nan, 0.5]
    every = [
        np.mean([np.nanmax(some) for some in combinations(values, n) if np.isfinite(some).any()]) for n in range(1, 6)
    ]
    assert gain.expected_best(values, True).to_numpy() == pytest.approx(every)
    assert gain.expected_best([np.nan, np.nan], True).empty


def test_failed_random_picks_count_among_the_trainings_at_random(make):
    result = make.budgeted([0.5], [0.4, 0.6, 0.8])
    failed = replace(result.random[0], failure="out of memory")
    found = gain.best_at_random(replace(result, random=[failed, *result.random[1:]]))
    assert found.index.to_list() == [1, 2, 3] and found.iloc[-1] == 0.8
    assert found.iloc[1] == pytest.approx((0.6 + 0.8 + 0.8) / 3)


def test_no_random_picks_have_no_best(make):
    assert gain.best_at_random(replace(make.budgeted([0.5], [0.6]), random=[])).empty


@pytest.mark.parametrize(
    ("task", "best"), [(zc.tasks.classification, [0.5, 0.5, 0.7, 0.7]), (zc.tasks.regression, [0.5, 0.4, 0.4, 0.4])]
)
def test_the_best_so_far_follows_the_direction_of_the_metric(make, task, best):
    result = make.budgeted([0.5, 0.4, 0.7, 0.6], [0.5], task)
    found = gain.trainings_in_order(result)
    assert found["best"].to_list() == best and found.index.to_list() == [1, 2, 3, 4]
    assert found["mean"].isna().to_list() == [True, True, False, False]


def test_a_failed_training_leaves_the_best_as_it_was(make):
    result = make.budgeted([0.5, 0.4, 0.7], [0.5])
    failed = replace(result.survivors[0], failure="out of memory")
    result = replace(result, survivors=[failed, *result.survivors[1:]])
    found = gain.trainings_in_order(result)
    assert found["metric"].isna().to_list() == [True, False, False]
    assert found["best"].fillna(0).to_list() == [0, 0.4, 0.7]


def test_what_was_chosen_and_never_trained_is_no_training(make):
    result = make.budgeted([0.5, 0.4, 0.7], [])
    assert gain.trainings_in_order(replace(result, survivors=result.survivors[:1]))["best"].to_list() == [0.5]


def from_seed(seed, runs):
    return [replace(run, seed=seed) for run in runs]


def two_seeds(make, survivors, picks):
    """A search that trained its survivors from seeds 0 and 1; each seed has its own random picks."""
    first, second = (make.budgeted(*pair) for pair in zip(survivors, picks, strict=True))
    again = (
        from_seed(1, second.survivors),
        from_seed(1, [replace(run, name=f"{run.name} too") for run in second.random]),
    )
    return replace(first, survivors=[*first.survivors, *again[0]], random=[*first.random, *again[1]])


def test_survivors_are_compared_with_the_random_picks_of_the_same_seed(make):
    result = two_seeds(make, ([0.4, 0.6, 0.5], [0.7, 0.5, 0.8]), ([0.5, 0.3], [0.8, 0.6]))
    found = gain.trainings_in_order(result)
    assert found["metric"].to_list() == pytest.approx([0.55, 0.55, 0.65])
    assert found["best"].to_list() == pytest.approx([0.55, 0.65, 0.7])
    assert gain.best_at_random(result).to_dict() == pytest.approx({1: 0.55, 2: 0.65})
    assert gain.seeds_note(result) == ", mean over 2 seeds"


def test_a_seed_without_random_picks_is_not_compared(make):
    result = two_seeds(make, ([0.4, 0.6], [0.9, 0.9]), ([0.5, 0.3], []))
    assert gain.trainings_in_order(result)["best"].to_list() == [0.4, 0.6]
    assert gain.best_at_random(result).index.to_list() == [1, 2] and gain.seeds_note(result) == ""
    alone = replace(result, random=[])
    assert gain.trainings_in_order(alone)["best"].to_list() == pytest.approx([0.65, 0.75])


def test_where_every_training_failed_there_is_no_best(make):
    result = make.budgeted([0.5, 0.6], [0.5])
    failed = [replace(run, failure="out of memory") for run in result.survivors]
    found = gain.trainings_in_order(replace(result, survivors=failed))
    assert len(found) == 2 and found[["metric", "best"]].isna().all(axis=None)
    assert gain.trainings_in_order(replace(result, survivors=[])).empty
