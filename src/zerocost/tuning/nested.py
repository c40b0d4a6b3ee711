"""Nested validation: what a tuning is worth on architectures that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from zerocost.combine import Combination
from zerocost.tuning.filters import Passed, passed
from zerocost.tuning.find import Found, Frames, agreement

Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
SMALLEST = 4
"""Architectures that a held-out part has at least: Kendall's τ of fewer says nothing."""


class Held(NamedTuple):
    """A held-out part: its places, its accuracies, and a value of each architecture by each way to rank."""

    places: Places
    truth: Values
    values: dict[str, Values]

    def kendall(self, name: str, without: int | None = None) -> float:
        """Kendall's τ of one way to rank, all but one architecture where that is wanted."""
        values, truth = self.values[name], self.truth
        if without is not None:
            values, truth = (np.delete(v, without) for v in (values, truth))
        return agreement(values, truth)


class Interval(NamedTuple):
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


def parts(accuracy: pd.Series[float], folds: int, rounds: int, seed: int) -> Iterator[tuple[Places, Places]]:
    """Training and held-out places of `rounds` divisions into at most `folds` parts, no part below `SMALLEST`.

    Each part has as many architectures of low, middling and high accuracy as any other.
    """
    rng = np.random.default_rng(seed)
    count = max(2, min(folds, len(accuracy) // SMALLEST))
    order = np.argsort(accuracy.to_numpy(), kind="stable")
    for _ in range(rounds):
        part = np.empty(len(order), dtype=int)
        for start in range(0, len(order), count):
            some = order[start : start + count]
            part[some] = rng.permutation(count)[: len(some)]
        for one in range(count):
            yield np.flatnonzero(part != one), np.flatnonzero(part == one)


def validated(
    frames: Frames,
    accuracy: pd.Series[float],
    default: Found,
    tuning: Callable[[Frames, pd.Series[float], int], Found],
    *,
    folds: int,
    rounds: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> tuple[list[Held], list[Found], Passed]:
    """Tune on all parts but one and rank that one among the others: once for each part of each round.

    Returns the held-out parts with their values by the "tuned", the "default" and "params", what each tuning found,
    and what each one's threshold let pass.
    """
    held: list[Held] = []
    found: list[Found] = []
    counts = Passed(0, 0, 0, 0)
    divisions = list(parts(accuracy, folds, rounds, seed))
    for number, (train, rest) in enumerate(divisions, start=1):
        fitting, truth = accuracy.iloc[train], accuracy.iloc[rest]
        found.append(tuning({setting: frame.iloc[train] for setting, frame in frames.items()}, fitting, seed + number))
        values: dict[str, Values] = {"params": np.asarray(frames[default.setting]["params"].iloc[rest], np.float64)}
        for name, way in (("tuned", found[-1]), ("default", default)):
            frame = frames[way.setting]
            combination = Combination(way.weights, way.method).against(frame.iloc[train])
            values[name] = np.asarray(combination(frame.iloc[rest]), np.float64)
            if name == "tuned":
                counts += passed(combination, frame.iloc[train], fitting, frame.iloc[rest], truth)
        held.append(Held(rest, np.asarray(truth, np.float64), values))
        progress(number, len(divisions) + 1)
    return held, found, counts


def tabulated(held: list[Held]) -> pd.DataFrame:
    """One row a part: its number of pairs, 0 where all accuracies are equal, and Kendall's τ of each way to rank."""
    rows = []
    for part in held:
        pairs = len(part.places) * (len(part.places) - 1) / 2 * (bool(np.ptp(part.truth)))
        rows.append({"pairs": pairs} | {name: part.kendall(name) for name in ("tuned", "default", "params")})
    return pd.DataFrame(rows)


def mean(table: pd.DataFrame, name: str) -> float:
    """The mean of a column over the parts, each weighing as much as it has pairs."""
    counted = table[table["pairs"] > 0]
    return float(np.average(counted[name], weights=counted["pairs"])) if len(counted) else math.nan


def difference(held: list[Held], first: str = "tuned", second: str = "default") -> Interval:
    """The difference in Kendall's τ of two ways to rank, a mean over the parts, with a 95 % interval.

    The interval is Student's, of the jackknife over architectures: each is left out of every part that it is in, and
    the spread of what remains says how much depends on which architectures there were.
    """
    count = 1 + max(int(part.places.max()) for part in held)
    gains = np.array([part.kendall(first) - part.kendall(second) for part in held])
    sizes = np.array([float(len(part.places)) for part in held])
    each, size = np.tile(gains[:, None], count), np.tile(sizes[:, None], count)
    for row, part in enumerate(held):
        for i, place in enumerate(part.places):
            each[row, place] = part.kendall(first, i) - part.kendall(second, i)
            size[row, place] -= 1
    value = averaged(gains, sizes)
    left = averaged(each, size)
    deviation = math.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())
    reach = float(stdtrit(count - 1, 0.975)) * deviation
    return Interval(float(value), float(value) - reach, float(value) + reach)


def averaged(gains: Values, sizes: Values) -> Values:
    """The mean over parts, weighed by pairs, of the gains that there are."""
    pairs = np.where(np.isnan(gains), 0.0, sizes * (sizes - 1))
    result: Values = np.nansum(gains * pairs, axis=0) / pairs.sum(axis=0)
    return result


def chosen(found: list[Found], names: Mapping[str, float] | list[str]) -> dict[str, float]:
    """In which part of the tunings each proxy was given a weight."""
    return {name: sum(name in one.weights for one in found) / len(found) for name in names}
