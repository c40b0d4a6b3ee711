"""Whether the order that a surrogate predicts can be trusted, from predictions of held-out architectures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_RESAMPLES = 1000
_Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Validation:
    """The cross-validation of a surrogate.

    Attributes:
        kendall: Kendall's τ on held-out architectures; NaN if it could not be measured.
        low: lower end of its 95 % interval.
        high: upper end of its 95 % interval.
        n: number of architectures.
        reason: why τ could not be measured; None if it was.
    """

    kendall: float
    low: float
    high: float
    n: int
    reason: str | None = None

    @classmethod
    def without(cls, n: int, reason: str) -> Validation:
        return cls(math.nan, math.nan, math.nan, n, reason)

    @property
    def trusted(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    def __str__(self) -> str:
        if self.reason:
            return f"not trusted: {self.reason}"
        text = f"τ {self.kendall:.2f}, 95 % interval {self.low:.2f} to {self.high:.2f}, {self.n} architectures"
        return text if self.trusted else f"not trusted: {text}"


def validate_predictions(predictions: _Values, folds: npt.NDArray[np.int64], targets: _Values, seed: int) -> Validation:
    """Kendall's τ over the pairs that were in one fold, where one model predicted both.

    Pairs across folds are left out: a model trained without the best architectures predicts less for all others, and
    that alone would make the order wrong. Pairs of equal targets do not count; equal predictions count half.

    Args:
        predictions: repeats × architectures.
        folds: the number of each architecture's fold, repeats × architectures.
        targets: one for each architecture.
        seed: draws the resamples.

    >>> order = np.arange(10.0)
    >>> validate_predictions(np.stack([order, -order]), np.zeros((2, 10), dtype=int), order, 0).kendall
    0.0
    """
    n = len(targets)
    order = np.sign(targets[:, None] - targets)
    agreed, counted = np.zeros((2, n, n))
    for predicted, fold in zip(predictions, folds, strict=True):
        compared = (fold[:, None] == fold) & (order != 0)
        agreed += np.where(compared, order * np.sign(predicted[:, None] - predicted), 0.0)
        counted += compared
    if not counted.any():
        return Validation.without(n, "no two architectures of different targets fell into one fold")
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), _RESAMPLES).astype(float)
    above = np.einsum("ri,ij,rj->r", weights, agreed, weights, optimize=True)
    below = np.einsum("ri,ij,rj->r", weights, counted, weights, optimize=True)
    low, high = np.percentile(above[below > 0] / below[below > 0], [2.5, 97.5])
    return Validation(float(agreed.sum() / counted.sum()), float(low), float(high), n)
