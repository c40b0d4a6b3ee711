from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.tuning.find import Recipe, Tuner
from zerocost.tuning.nested import HeldOut, cross_validate, divide_in_parts, kendall_gain, mean_kendall, tabulate_parts


@pytest.mark.parametrize(("count", "folds", "expected"), [(8, 5, 2), (13, 5, 3), (40, 5, 5), (40, 3, 3)])
def test_each_is_held_out_once_a_round_and_no_part_is_too_small(count, folds, expected):
    accuracy = pd.Series(np.random.default_rng(0).permutation(count).astype(float))
    divisions = list(divide_in_parts(accuracy, folds, 2, 0))
    assert len(divisions) == 2 * expected
    for fold in (divisions[:expected], divisions[expected:]):
        assert sorted(np.concatenate([held for _, held in fold])) == list(range(count))
    for train, held in divisions:
        assert not set(train) & set(held)
        assert len(train) + len(held) == count
        assert len(held) >= 4
        assert accuracy[held].min() < count / 2 < accuracy[held].max() + 1


def test_a_tuning_sees_no_held_out_architecture_and_is_ranked_among_the_others(frames, accuracy, default):
    seen, done_so_far = [], []

    class FakeTuner(Tuner):
        def __call__(self, few, known, number):
            seen.append((set(known.index), number))
            assert all(list(frame.index) == list(known.index) for frame in few.values())
            return Recipe({"good": 1.0}, "log_rank", list(frames)[1], 1.0)

    held, recipes, counts = cross_validate(
        frames,
        accuracy,
        FakeTuner(default, ["good"]),
        list(divide_in_parts(accuracy, 3, 2, 0)),
        lambda done, total: done_so_far.append((done, total)),
    )
    assert len(held) == len(recipes) == 6
    assert done_so_far == [(i, 7) for i in range(1, 7)]
    assert [number for _, number in seen] == [1, 2, 3, 4, 5, 6]
    for part, (names, _) in zip(held, seen, strict=True):
        assert not names & set(accuracy.index[part.places])
        assert list(part.truth) == list(accuracy.iloc[part.places])
        assert len(names) + len(part.truth) == 60
    table = tabulate_parts(held)
    assert mean_kendall(table, "tuned") > 0.6 > mean_kendall(table, "default")
    gain = kendall_gain(held)
    assert gain.mean == pytest.approx(mean_kendall(table, "tuned") - mean_kendall(table, "default"))
    assert 0 < gain.low < gain.mean < gain.high
    assert counts.best + counts.others == 120
    assert counts.reliable


def made(rng, count, signal):
    """Held-out parts of ten in which the tuned values have so much more signal than the default ones."""
    truth = rng.normal(size=count)
    values = {
        "tuned": signal * truth + rng.normal(size=count),
        "default": truth + rng.normal(size=count),
        "params": truth,
    }
    each = [np.arange(i, count, count // 10) for i in range(count // 10)]
    return [HeldOut(p, truth[p], {n: v[p] for n, v in values.items()}) for p in each]


def test_the_interval_covers_no_gain_about_as_often_as_it_says():
    covered = [
        interval.low <= 0 <= interval.high
        for seed in range(20)
        for interval in [kendall_gain(made(np.random.default_rng(seed), 40, 1.0))]
    ]
    assert sum(covered) >= 17


def test_the_interval_shrinks_with_more_architectures():
    few, many = (kendall_gain(made(np.random.default_rng(0), count, 2.0)) for count in (30, 120))
    assert many.high - many.low < few.high - few.low


def test_a_part_of_equal_accuracies_does_not_count():
    parts_ = made(np.random.default_rng(0), 40, 2.0)
    flat = parts_[0]._replace(truth=parts_[0].truth * 0)
    assert kendall_gain([flat, *parts_[1:]]).mean == pytest.approx(kendall_gain(parts_[1:]).mean)
    table = tabulate_parts([flat, *parts_[1:]])
    assert mean_kendall(table, "tuned") == pytest.approx(mean_kendall(tabulate_parts(parts_[1:]), "tuned"))
