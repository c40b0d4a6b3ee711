"""A threshold on scores that drops what is unlikely to be among the best."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from zerocost.base.conditions import parse_clauses
from zerocost.combine import Combination

_BEST_SHARE = 0.2
"""The share of the trained architectures, by accuracy, that counts as the best."""
_MARGIN = 0.1
"""The share of the trained architectures between the threshold and the lowest of the best."""
_LEAST_PASSED, _LEAST_DROPPED = 0.95, 0.1
"""The share of the held-out best that a threshold must let pass, and that of the others it must drop."""


class PassCounts(NamedTuple):
    """How many held-out architectures there were and how many passed, of the best and of the others."""

    best: int
    best_passed: int
    others: int
    others_passed: int

    def __add__(self, more: object) -> PassCounts:
        return PassCounts(*[a + b for a, b in zip(self, more, strict=True)])  # type: ignore[call-overload]

    @property
    def reliable(self) -> bool:
        """Whether enough of the best passed and enough of the others did not."""
        kept = self.best_passed >= _LEAST_PASSED * self.best
        return self.best > 0 and kept and self.others - self.others_passed >= _LEAST_DROPPED * self.others


def safe_threshold(combination: Combination, scores: pd.DataFrame, accuracy: pd.Series[float]) -> str | None:
    """The condition on one score that drops most of the trained architectures and none of the best.

    The score is `rank_score`, the combination's number, or one of the scores combined. The best are the fifth of
    highest accuracy. A tenth of the trained architectures lies between the threshold and the lowest of the best. None
    where no such condition drops anything.

    >>> names = [f"net-{i}" for i in range(10)]
    >>> scores = pd.DataFrame({"snip": [1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10]}, index=names)
    >>> safe_threshold(Combination({"snip": 1.0}), scores, pd.Series(range(10), names, dtype=float))
    'rank_score >= -0.289909'
    """
    numbers = filter_columns(combination, scores)
    best = accuracy.to_numpy() >= _least_of_best(accuracy)
    margin = math.ceil(_MARGIN * len(accuracy))
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
        dropped[text] = int((~satisfies(text, numbers)).sum())
    return max(dropped, key=lambda text: dropped[text], default=None)


def count_passed(
    combination: Combination,
    scores: pd.DataFrame,
    accuracy: pd.Series[float],
    held: pd.DataFrame,
    truth: pd.Series[float],
) -> PassCounts:
    """What the threshold found on trained architectures lets pass of held-out ones.

    Args:
        combination: the combination that the threshold is of.
        scores: scores of the trained architectures.
        accuracy: their accuracies.
        held: scores of the held-out architectures.
        truth: their accuracies.
    """
    text = safe_threshold(combination, scores, accuracy)
    passing = satisfies(text, filter_columns(combination, held)) if text else np.ones(len(held), dtype=bool)
    best = truth.to_numpy() >= _least_of_best(accuracy)
    return PassCounts(*[int(part.sum()) for part in (best, best & passing, ~best, ~best & passing)])


def _least_of_best(accuracy: pd.Series[float]) -> float:
    """The accuracy from which on an architecture is among the best."""
    return float(np.sort(accuracy.to_numpy())[-math.ceil(_BEST_SHARE * len(accuracy))])


def filter_columns(combination: Combination, scores: pd.DataFrame) -> pd.DataFrame:
    """What a threshold can be on: the combination's number of each architecture, and the scores combined."""
    return pd.DataFrame({"rank_score": combination(scores), **{name: scores[name] for name in combination.proxies}})


def satisfies(text: str, numbers: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each row passes the condition."""
    columns = {str(name): values.to_numpy() for name, values in numbers.items()}
    return np.logical_and.reduce([clause.holds(columns) for clause in parse_clauses(text)])  # type: ignore[no-any-return]
