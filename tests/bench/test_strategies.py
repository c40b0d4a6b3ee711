"""The scripts that measure searches, on numbers that are made up."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.search.sizes import size_costs

BENCH = Path(__file__).parents[2] / "bench"
SCRIPTS = ("nasbench201_scores", "strategies", "fronts")


@pytest.fixture(scope="module")
def scripts() -> Iterator[tuple[ModuleType, ...]]:
    threads = torch.get_num_threads()
    sys.path.insert(0, str(BENCH))
    try:
        yield tuple(importlib.import_module(name) for name in SCRIPTS)
    finally:
        sys.path.remove(str(BENCH))
        for name in SCRIPTS:
            sys.modules.pop(name, None)
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def accuracy(scripts: tuple[ModuleType, ...]) -> pd.Series[float]:
    """Made up, the same for twins: more parameters are better, up to noise that the keys of twins draw."""
    known = scripts[0]
    rng = np.random.default_rng(0)
    noise = dict(zip(map(known.key, known.distinct()), rng.normal(0, 2, len(known.distinct())), strict=True))
    texts = list(known.texts())
    sizes = known.for_twins(known.parameters()[list(known.distinct())].to_frame("size"))["size"]
    return pd.Series([50 + sizes[text] / 1e5 + noise[known.key(text)] for text in texts], index=texts)


@pytest.fixture(scope="module")
def scores(accuracy: pd.Series[float]) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame({name: accuracy + rng.normal(0, 1, len(accuracy)) for name in ("one", "two")})


def test_each_set_of_twins_is_scored_once_and_kept(scripts: tuple[ModuleType, ...], tmp_path: Path) -> None:
    known = scripts[0]
    assert len(known.distinct()) == len({known.key(text) for text in known.texts()}) == 6466
    few, tiny = known.distinct()[:3], "width=0.25,depth=0.2,resolution=8,batch=4"
    found = known.score_all(few, "noise:3x8x8", tmp_path / "s.db", proxies=["params"], fidelity=tiny)
    again = known.score_all(few, "noise:3x8x8", tmp_path / "s.db", proxies=["params"], fidelity=tiny)
    assert list(found.index) == list(few)
    assert (found["params"] > 0).all()
    pd.testing.assert_frame_equal(found, again)


def test_parameters_are_those_of_the_networks(scripts: tuple[ModuleType, ...]) -> None:
    known = scripts[0]
    size = size_costs(known.SPACE, torch.zeros(1, 3, 32, 32))["params"]
    found = known.parameters()
    assert len(found) == 15625
    assert all(found[text] == size(known.SPACE.parse(text)) for text in known.distinct()[:3])


def test_twins_share_scores(scripts: tuple[ModuleType, ...]) -> None:
    known = scripts[0]
    first = pd.DataFrame({"a": range(6466)}, index=list(known.distinct()))
    every = known.for_twins(first)
    assert list(every.index) == list(known.texts())
    assert every.groupby([known.key(text) for text in every.index])["a"].nunique().eq(1).all()


def test_more_scores_find_better_architectures(
    scripts: tuple[ModuleType, ...], scores: pd.DataFrame, accuracy: pd.Series[float]
) -> None:
    few, many = scripts[1].by_proxies("evolution", scores, accuracy, [5, 120], 0, "noise:3x8x8")
    assert few < many <= accuracy.max()
    assert [few, many] == scripts[1].by_proxies("evolution", scores, accuracy, [5, 120], 0, "noise:3x8x8")


def test_a_warm_up_by_good_scores_saves_lookups(
    scripts: tuple[ModuleType, ...], scores: pd.DataFrame, accuracy: pd.Series[float]
) -> None:
    lookups = scripts[1].by_lookups
    plain, none = lookups("random", scores, accuracy, accuracy, [1, 10], 0, "")
    warm, asked = lookups("random", scores, accuracy, accuracy, [1, 10], 0, "", warmup=300, reference=300)
    assert none == 0
    assert 300 <= asked <= 600
    assert plain[0] <= plain[1] < warm[1]


def test_combinations_are_sorted_by_the_half_they_are_chosen_by(
    scripts: tuple[ModuleType, ...], scores: pd.DataFrame, accuracy: pd.Series[float]
) -> None:
    known = scripts[0]
    found = scripts[1].compare_combinations(scores.loc[list(known.distinct()[:200])], accuracy, 20, 5)
    assert set(found.index) == {"one", "two", "one, two"}
    assert found["half"].is_monotonic_decreasing
    assert (found <= accuracy.max()).all(axis=None)


def test_a_front_under_a_limit_grows_towards_the_true_one(
    scripts: tuple[ModuleType, ...], scores: pd.DataFrame, accuracy: pd.Series[float]
) -> None:
    cost = scripts[0].parameters().rename("params")
    few, many = scripts[2].hypervolume_ratios("nsga2", scores, accuracy, cost, 4e5, (10, 60), 0)
    assert 0 <= few < many <= 1


def test_the_hypervolume_ratio_is_that_of_the_volumes_whatever_the_units(scripts: tuple[ModuleType, ...]) -> None:
    ratio = scripts[2].hypervolume_ratio
    true = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])
    assert ratio(true, true, [0, 0]) == 1
    assert ratio(true[:1], true, [0, 0]) == pytest.approx(3 / 6)
    scale = np.array([1e6, 1e-3])
    assert ratio(true[:1] * scale, true * scale, [0, 0]) == pytest.approx(3 / 6)


def test_a_front_below_the_reference_has_no_hypervolume_ratio(scripts: tuple[ModuleType, ...]) -> None:
    with pytest.raises(InputError, match="better than the reference"):
        scripts[2].hypervolume_ratio([[1, 2]], [[-1, 2]], [0, 0])


def test_the_interval_holds_the_mean(scripts: tuple[ModuleType, ...]) -> None:
    assert scripts[0].mean_with_interval([1.0, 1.0, 1.0]) == "1.00 (1.00 – 1.00)"
    mean, low, high = map(
        float, scripts[0].mean_with_interval([1.0, 2.0, 6.0]).replace("–", "").strip(")").replace("(", "").split()
    )
    assert low < mean < high


def test_trainings_for_the_front_come_nearer_to_it_than_the_scores(
    scripts: tuple[ModuleType, ...], scores: pd.DataFrame, accuracy: pd.Series[float]
) -> None:
    known, _, script = scripts[:3]
    cost = known.parameters().rename("params")
    wanted, numbers, order = script.proposed("random", scores, cost, 4e5, 60, 0)
    truth = pd.DataFrame({"mean": accuracy, "first": accuracy})
    few, all_of_them = (script.ratios_by_training(order, numbers, wanted, truth, 4e5, count) for count in (6, 60))
    assert len(few) == 6
    assert max(few.values()) <= all_of_them["by score: trained"] + 1e-9
    trained = [value for way, value in all_of_them.items() if way.endswith(": trained")]
    assert trained == pytest.approx([trained[0]] * 3), "with everything trained, each way has the front of the pool"
