from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.tuning.find import Found
from zerocost.tuning.nested import Held, difference, mean, parts, tabulated, validated


@pytest.mark.parametrize(("count", "folds", "expected"), [(8, 5, 2), (13, 5, 3), (40, 5, 5), (40, 3, 3)])
def test_each_is_held_out_once_a_round_and_no_part_is_too_small(count, folds, expected):
    accuracy = pd.Series(np.random.default_rng(0).permutation(count).astype(float))
    divisions = list(parts(accuracy, folds, 2, 0))
    assert len(divisions) == 2 * expected
    for fold in (divisions[:expected], divisions[expected:]):
        assert sorted(np.concatenate([held for _, held in fold])) == list(range(count))
    for train, held in divisions:
        assert not set(train) & set(held)
        assert len(train) + len(held) == count
        assert len(held) >= 4
        assert accuracy[held].min() < count / 2 < accuracy[held].max() + 1


def test_a_tuning_sees_no_held_out_architecture_and_is_ranked_among_the_others(frames, accuracy, default):
    seen, told = [], []

    def tuning(few, known, seed):
        seen.append((set(known.index), seed))
        assert all(list(frame.index) == list(known.index) for frame in few.values())
        return Found({"good": 1.0}, "log_rank", list(frames)[1], 1.0)

    held, found, counts = validated(
        frames,
        accuracy,
        default,
        tuning,
        folds=3,
        rounds=2,
        seed=0,
        progress=lambda done, total: told.append((done, total)),
    )
    assert len(held) == len(found) == 6
    assert told == [(i, 7) for i in range(1, 7)]
    assert len({seed for _, seed in seen}) == 6
    for part, (names, _) in zip(held, seen, strict=True):
        assert not names & set(accuracy.index[part.places])
        assert list(part.truth) == list(accuracy.iloc[part.places])
        assert len(names) + len(part.truth) == 60
    table = tabulated(held)
    assert mean(table, "tuned") > 0.6 > mean(table, "default")
    gain = difference(held)
    assert gain.mean == pytest.approx(mean(table, "tuned") - mean(table, "default"))
    assert 0 < gain.low < gain.mean < gain.high
    assert counts.best + counts.others == 120
    assert counts.trusted


def made(rng, count, signal):
    """Held-out parts of ten in which the tuned values have so much more signal than the default ones."""
    truth = rng.normal(size=count)
    values = {
        "tuned": signal * truth + rng.normal(size=count),
        "default": truth + rng.normal(size=count),
        "params": truth,
    }
    each = [np.arange(i, count, count // 10) for i in range(count // 10)]
    return [Held(p, truth[p], {n: v[p] for n, v in values.items()}) for p in each]


def test_the_interval_covers_no_gain_about_as_often_as_it_says():
    covered = [
        interval.low <= 0 <= interval.high
        for seed in range(20)
        for interval in [difference(made(np.random.default_rng(seed), 40, 1.0))]
    ]
    assert sum(covered) >= 17


def test_the_interval_shrinks_with_more_architectures():
    few, many = (difference(made(np.random.default_rng(0), count, 2.0)) for count in (30, 120))
    assert many.high - many.low < few.high - few.low


def test_a_part_of_equal_accuracies_does_not_count():
    parts_ = made(np.random.default_rng(0), 40, 2.0)
    flat = parts_[0]._replace(truth=parts_[0].truth * 0)
    assert difference([flat, *parts_[1:]]).mean == pytest.approx(difference(parts_[1:]).mean)
    table = tabulated([flat, *parts_[1:]])
    assert mean(table, "tuned") == pytest.approx(mean(tabulated(parts_[1:]), "tuned"))
