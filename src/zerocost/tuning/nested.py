"""Nested validation: how well a tuned recipe ranks architectures that it was not tuned on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from zerocost.base.progress import StepProgress
from zerocost.combine import Combination
from zerocost.tuning.filters import PassCounts, count_passed
from zerocost.tuning.find import Frames, Recipe, Tuner, kendall_tau

_Values = npt.NDArray[np.float64]
_Places = npt.NDArray[np.intp]
_SMALLEST_PART = 4
"""Fewest architectures in a held-out part: Kendall's τ of fewer says nothing."""


class HeldOut(NamedTuple):
    """A held-out part of the trained architectures.

    Attributes:
        places: their places among all trained architectures.
        truth: their accuracies.
        values: their values by each recipe, by name.
    """

    places: _Places
    truth: _Values
    values: dict[str, _Values]

    def kendall(self, name: str, without: int | None = None) -> float:
        """Kendall's τ of the values `name`; `without` leaves out the architecture at that place of the part."""
        values, truth = self.values[name], self.truth
        if without is not None:
            values, truth = (np.delete(v, without) for v in (values, truth))
        return kendall_tau(values, truth)


class _Interval(NamedTuple):
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


def divide_in_parts(
    accuracy: pd.Series[float], folds: int, rounds: int, seed: int
) -> Iterator[tuple[_Places, _Places]]:
    """Training and held-out places of `rounds` divisions into at most `folds` parts of at least `_SMALLEST_PART`.

    Parts are stratified: each has equally many architectures of low, medium and high accuracy.
    """
    rng = np.random.default_rng(seed)
    count = max(2, min(folds, len(accuracy) // _SMALLEST_PART))
    order = np.argsort(accuracy.to_numpy(), kind="stable")
    for _ in range(rounds):
        part = np.empty(len(order), dtype=int)
        for start in range(0, len(order), count):
            some = order[start : start + count]
            part[some] = rng.permutation(count)[: len(some)]
        for one in range(count):
            yield np.flatnonzero(part != one), np.flatnonzero(part == one)


class CrossValidation(NamedTuple):
    """The outcome of a nested validation.

    Attributes:
        held: the held-out parts, with the values that the "tuned" and the "default" recipe and "params" give them.
        recipes: what each tuning found.
        passes: what the thresholds of the tuned recipes let pass, over all parts.
    """

    held: list[HeldOut]
    recipes: list[Recipe]
    passes: PassCounts


def cross_validate(
    frames: Frames,
    accuracy: pd.Series[float],
    tuner: Tuner,
    divisions: Sequence[tuple[_Places, _Places]],
    progress: StepProgress,
) -> CrossValidation:
    """Tune on all parts but one, and rank that one among the others; once for each of the divisions.

    Args:
        frames: the scores under each setting, architectures by proxies.
        accuracy: the accuracies of the same architectures.
        tuner: tunes on the training places of a division, numbered from 1.
        divisions: training and held-out places, as `divide_in_parts` gives them.
        progress: called with the number of tunings done, and one more than there are: the tuning on all comes last.
    """
    held: list[HeldOut] = []
    recipes: list[Recipe] = []
    passes = PassCounts(0, 0, 0, 0)
    params = frames[tuner.default.setting]["params"]
    for number, (train, rest) in enumerate(divisions, start=1):
        fitting, truth = accuracy.iloc[train], accuracy.iloc[rest]
        recipes.append(tuner({setting: frame.iloc[train] for setting, frame in frames.items()}, fitting, number))
        values: dict[str, _Values] = {"params": np.asarray(params.iloc[rest], np.float64)}
        for name, recipe in (("tuned", recipes[-1]), ("default", tuner.default)):
            frame = frames[recipe.setting]
            combination = Combination(recipe.weights, recipe.method).against(frame.iloc[train])
            values[name] = np.asarray(combination(frame.iloc[rest]), np.float64)
            if name == "tuned":
                passes += count_passed(combination, frame.iloc[train], fitting, frame.iloc[rest], truth)
        held.append(HeldOut(rest, np.asarray(truth, np.float64), values))
        progress(number, len(divisions) + 1)
    return CrossValidation(held, recipes, passes)


def tabulate_parts(held: list[HeldOut]) -> pd.DataFrame:
    """One row a part: its number of pairs, 0 where all accuracies are equal, and Kendall's τ of each recipe."""
    rows = []
    for part in held:
        pairs = len(part.places) * (len(part.places) - 1) / 2 * (bool(np.ptp(part.truth)))
        rows.append({"pairs": pairs} | {name: part.kendall(name) for name in ("tuned", "default", "params")})
    return pd.DataFrame(rows)


def mean_kendall(table: pd.DataFrame, name: str) -> float:
    """The mean of a column of `tabulate_parts`, weighted by the pairs of each part."""
    counted = table[table["pairs"] > 0]
    return float(np.average(counted[name], weights=counted["pairs"])) if len(counted) else math.nan


def kendall_gain(held: list[HeldOut]) -> _Interval:
    """Kendall's τ of the tuned recipe less that of the default, a mean over the parts, with its 95 % interval.

    The interval is a t interval of the jackknife over architectures: each is left out in turn of every part that it is
    in, and the spread of the differences without it says how much depends on which architectures were trained.
    """
    from scipy.special import stdtrit  # takes half a second to import

    count = 1 + max(int(part.places.max()) for part in held)
    gains = np.array([part.kendall("tuned") - part.kendall("default") for part in held])
    sizes = np.array([float(len(part.places)) for part in held])
    each, size = np.tile(gains[:, None], count), np.tile(sizes[:, None], count)
    for row, part in enumerate(held):
        for i, place in enumerate(part.places):
            each[row, place] = part.kendall("tuned", i) - part.kendall("default", i)
            size[row, place] -= 1
    value = _average_gains(gains, sizes)
    left = _average_gains(each, size)
    deviation = math.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())
    reach = float(stdtrit(count - 1, 0.975)) * deviation
    return _Interval(float(value), float(value) - reach, float(value) + reach)


def _average_gains(gains: _Values, sizes: _Values) -> _Values:
    """The mean of the gains that are known over the parts, weighted by pairs."""
    pairs = np.where(np.isnan(gains), 0.0, sizes * (sizes - 1))
    result: _Values = np.nansum(gains * pairs, axis=0) / pairs.sum(axis=0)
    return result


def share_chosen(found: Sequence[Recipe], names: Iterable[str]) -> dict[str, float]:
    """The share of the recipes in which each proxy has a weight."""
    return {name: sum(name in one.weights for one in found) / len(found) for name in names}
