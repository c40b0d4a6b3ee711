"""A threshold that drops what will not be among the best, where one can be trusted to lose none of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from zerocost.base.conditions import parse_clauses
from zerocost.combine import Combination

SHARE = 0.2
"""The best: this part of the trained architectures, by accuracy."""
MARGIN = 0.1
"""This part of the trained architectures lies between the threshold and the lowest of the best."""
KEPT, DROPPED = 0.95, 0.1
"""What part of the held-out best a threshold must let pass, and what part of the others it must drop."""


class Passed(NamedTuple):
    """Held-out architectures: how many were among the best and how many of these passed, and the same of the others."""

    best: int
    best_passed: int
    others: int
    others_passed: int

    def __add__(self, more: object) -> Passed:
        return Passed(*[a + b for a, b in zip(self, more, strict=True)])  # type: ignore[call-overload]

    @property
    def trusted(self) -> bool:
        """Whether enough of the best passed and enough of the others did not."""
        kept = self.best_passed >= KEPT * self.best
        return self.best > 0 and kept and self.others - self.others_passed >= DROPPED * self.others


def threshold(combination: Combination, scores: pd.DataFrame, accuracy: pd.Series[float]) -> str | None:
    """The condition on one quantity that drops most of the trained architectures, and none of the best.

    The quantity is `rank_score`, the combination's number, or a score in it. The best are the fifth of the highest
    accuracy. The threshold lies lower than all of them by a tenth of the trained architectures. None where that drops
    nothing.

    >>> names = [f"net-{i}" for i in range(10)]
    >>> scores = pd.DataFrame({"snip": [1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10]}, index=names)
    >>> threshold(Combination({"snip": 1.0}), scores, pd.Series(range(10), names, dtype=float))
    'rank_score >= -0.289909'
    """
    numbers = valued(combination, scores)
    best = accuracy.to_numpy() >= np.sort(accuracy.to_numpy())[-math.ceil(SHARE * len(accuracy))]
    margin = math.ceil(MARGIN * len(accuracy))
    dropped: dict[str, int] = {}
    for name in numbers:
        sign = -1.0 if combination.weights.get(str(name), 1.0) < 0 else 1.0
        values = sign * numbers[name].to_numpy()
        if not str(name).isidentifier() or not np.isfinite(values[best]).all():
            continue
        lower = np.sort(values[values < values[best].min()])[::-1]
        if len(lower) <= margin or not np.isfinite(lower[margin]):
            continue
        limit = sign * (lower[margin - 1] + lower[margin]) / 2
        text = f"{name} {'>=' if sign > 0 else '<='} {limit:.6g}"
        dropped[text] = int((~passes(text, numbers)).sum())
    return max(dropped, key=lambda text: dropped[text], default=None)


def passed(
    combination: Combination,
    scores: pd.DataFrame,
    accuracy: pd.Series[float],
    held: pd.DataFrame,
    truth: pd.Series[float],
) -> Passed:
    """What the threshold out of one part lets pass of another."""
    text = threshold(combination, scores, accuracy)
    passing = passes(text, valued(combination, held)) if text else np.ones(len(held), dtype=bool)
    best = truth.to_numpy() >= np.sort(accuracy.to_numpy())[-math.ceil(SHARE * len(accuracy))]
    return Passed(*[int(part.sum()) for part in (best, best & passing, ~best, ~best & passing)])


def valued(combination: Combination, scores: pd.DataFrame) -> pd.DataFrame:
    """The combination's number of each architecture, and the scores in it."""
    return pd.DataFrame({"rank_score": combination(scores), **{name: scores[name] for name in combination.proxies}})


def passes(text: str, numbers: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each row passes the condition."""
    columns = {str(name): values.to_numpy() for name, values in numbers.items()}
    return np.logical_and.reduce([clause.holds(columns) for clause in parse_clauses(text)])  # type: ignore[no-any-return]
