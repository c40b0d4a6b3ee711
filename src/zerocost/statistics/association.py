"""Two questions of the report: is one group better than another, and does a score follow accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zerocost.statistics.kendall_interval import kendall_interval
from zerocost.statistics.ranking import kendall, spearman

ENOUGH = 10


@dataclass(frozen=True)
class _MeanDifference:
    """Mean of one group less the mean of another.

    Attributes:
        value: the difference.
        interval: its 95 % interval; None for too few candidates.
    """

    value: float
    interval: tuple[float, float] | None


def mean_difference(first: npt.ArrayLike, second: npt.ArrayLike) -> _MeanDifference:
    """Difference of two group means with Welch's t interval; each value is one independent candidate.

    >>> d = mean_difference([0.8, 0.9, 0.85], [0.7, 0.6, 0.65])
    >>> round(d.value, 3), [round(bound, 3) for bound in d.interval]
    (0.2, [0.087, 0.313])
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    value = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return _MeanDifference(value, None)
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    if va + vb == 0:
        return _MeanDifference(value, None)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = _t(freedom) * math.sqrt(va + vb)
    return _MeanDifference(value, (value - half, value + half))


def mean_interval(values: npt.ArrayLike) -> tuple[float, float] | None:
    """95 % t interval of a mean; None for fewer than two values.

    >>> [round(bound, 2) for bound in mean_interval([1.0, 2.0, 3.0])]
    [-0.48, 4.48]
    """
    x = np.asarray(values, float)
    if len(x) < 2:
        return None
    half = _t(len(x) - 1) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return float(x.mean() - half), float(x.mean() + half)


def _t(freedom: float) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit  # takes half a second to import

    return float(stdtrit(freedom, 0.975))


@dataclass(frozen=True)
class Association:
    """Rank correlation of a score with accuracy.

    Attributes:
        n: number of candidates that have both.
        kendall: Kendall's tau-b; None when n < 3 or one side is constant.
        spearman: Spearman's rho; None when `kendall` is.
        interval: the 95 % interval of tau; None for fewer than `ENOUGH` candidates.
    """

    n: int
    kendall: float | None
    spearman: float | None
    interval: tuple[float, float] | None


def association(scores: npt.ArrayLike, accuracy: npt.ArrayLike) -> Association:
    """Kendall and Spearman over the pairs where both numbers exist.

    The interval is that of `kendall_interval`.

    >>> a = association([1, 2, 3, 4], [0.1, 0.3, 0.2, 0.4])
    >>> a.n, round(a.kendall, 2), round(a.spearman, 2), a.interval
    (4, 0.67, 0.8, None)
    """
    x, y = np.asarray(scores, float), np.asarray(accuracy, float)
    both = np.isfinite(x) & np.isfinite(y)
    x, y, n = x[both], y[both], int(both.sum())
    if n < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Association(n, None, None, None)
    tau = float(kendall(x, y))
    return Association(n, tau, float(spearman(x, y)), kendall_interval(tau, n) if n >= ENOUGH else None)
