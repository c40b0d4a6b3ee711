"""A Gaussian process over all candidates whose mean is a multiple of their score, its unknowns weighted by evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

_EMPHASIS = 4.0
"""How many times more or less than expected each part may explain."""
_SLOPES = np.array([0.0, 1.0, 2.0])
"""Units that the mean may rise with one standard deviation of the score."""
_NOISES = np.array([0.03, 0.1, 0.3])
"""Variances, in units, of what neither score nor parts explain."""
_UNITS = np.exp(np.linspace(-2.5, 1.0, 15))
"""Units, as multiples of the deviation of the targets."""


class Part(NamedTuple):
    """One kind of features, a point for each candidate, scaled for a kernel whose variance is about 1.

    Attributes:
        points: candidates × features.
        weight: the variance that the part is expected to explain, in units.
        radial: whether the kernel is Gaussian rather than linear.
    """

    points: Values
    weight: float
    radial: bool

    def kernel(self, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Values:
        """The prior covariance of the candidates at these places."""
        a, b = self.points[np.asarray(rows, np.intp)], self.points[np.asarray(columns, np.intp)]
        products: Values = a @ b.T
        if not self.radial:
            return products
        return np.asarray(np.exp(-np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * products, 0.0)))

    @property
    def variance(self) -> Values:
        """The prior variance at each candidate."""
        return np.ones(len(self.points)) if self.radial else np.asarray((self.points**2).sum(1))


class _Unknowns(NamedTuple):
    """What the evidence says about the unknowns.

    Attributes:
        weights: of each part, in units.
        noise: the variance of the noise, in units.
        slope: of the score, in units.
        unit: what they are in.
        unit_variance: the mean of the squared unit, in units.
        slope_variance: how uncertain the rise with the score is, in units.
    """

    weights: Values
    noise: float
    slope: float
    unit: float
    unit_variance: float = 1.0
    slope_variance: float = 0.0


@dataclass(frozen=True)
class Process:
    """The process given its observations; all in multiples of `unknowns.unit`.

    Attributes:
        parts: the parts of its covariance.
        unknowns: what the evidence says about their weights, the noise, the slope and the unit.
        places: where it was observed.
        residuals: the covariance's inverse times what the score does not explain, one value an observation.
        mean: the expectation at each candidate.
        explained: observations × candidates; the sum of squares is the variance that the observations explain.
        level_variance: how uncertain the common level leaves each candidate.
        score_left: what of the score at each candidate the observations do not explain.
    """

    parts: Sequence[Part]
    unknowns: _Unknowns
    places: npt.NDArray[np.intp]
    residuals: Values
    mean: Values
    explained: Values
    level_variance: Values
    score_left: Values

    @property
    def spread(self) -> Values:
        """The variance of what training each candidate would give, that of the unknowns included."""
        unknowns = self.unknowns
        known_unit = self.variance + self.level_variance + unknowns.noise
        return unknowns.unit_variance * known_unit + unknowns.slope_variance * self.score_left**2

    @property
    def variance(self) -> Values:
        """The variance at each candidate, without noise."""
        prior = sum(w * part.variance for w, part in zip(self.unknowns.weights, self.parts, strict=True))
        return np.asarray(np.maximum(prior - (self.explained**2).sum(0), 0.0))

    def slopes(self, part: int) -> Values:
        """How much the mean rises with each feature of a linear part, besides that of the score."""
        points, scale = self.parts[part].points, self.parts[part].points.std(0)
        rise = self.unknowns.weights[part] * self.residuals @ points[self.places] * scale
        return np.asarray(rise)

    def explained_by(self, place: int, explained: Values) -> Values:
        """What one more observation at `place` explains beyond `explained`, a value for each candidate."""
        every = np.arange(len(self.mean))
        covariance = _covariance(self.parts, self.unknowns.weights, [place], every)[0] - explained[:, place] @ explained
        return np.asarray(covariance / np.sqrt(max(covariance[place], 0.0) + self.unknowns.noise))


def fit_process(
    parts: Sequence[Part], score: Values, places: npt.NDArray[np.intp], targets: Values, noises: Values
) -> Process:
    """The process given `targets` at `places`, which have the standard deviations `noises` at least.

    Args:
        parts: the parts of its covariance.
        score: the score of each candidate, of about unit variance.
        places: where it was observed.
        targets: what was observed.
        noises: the known standard deviation of each target, 0 where it is unknown.
    """
    unknowns = _weigh_grid(parts, score[places], places, targets, noises)
    covariance = _covariance(parts, unknowns.weights, places, places)
    factor = np.linalg.cholesky(covariance + np.diag(unknowns.noise + (noises / unknowns.unit) ** 2))
    every, ones = np.arange(len(score)), np.ones(len(places))
    explained = np.linalg.solve(factor, _covariance(parts, unknowns.weights, places, every))
    left = targets / unknowns.unit - unknowns.slope * score[places]
    white = np.linalg.solve(factor, np.stack([ones, left, score[places]], 1))
    weight = white[:, 0] @ white[:, 0] or 1.0
    level, score_level = white[:, 0] @ white[:, 1:] / weight
    rest, score_rest = (white[:, 1:] - white[:, :1] * [level, score_level]).T
    return Process(
        parts,
        unknowns,
        places,
        residuals=np.linalg.solve(factor.T, rest),
        mean=level + unknowns.slope * score + rest @ explained,
        explained=explained,
        level_variance=(1 - white[:, 0] @ explained) ** 2 / weight,
        score_left=score - score_level - score_rest @ explained,
    )


def _covariance(parts: Sequence[Part], weights: Values, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Values:
    return np.asarray(sum(w * part.kernel(rows, columns) for w, part in zip(weights, parts, strict=True)))


def _weigh_grid(
    parts: Sequence[Part], score: Values, places: npt.NDArray[np.intp], targets: Values, noises: Values
) -> _Unknowns:
    """The mean over a grid of all unknowns, weighted by the evidence; that of the grid itself without differences."""
    weights = _weight_choices(np.array([part.weight for part in parts]))
    if not len(targets) or np.ptp(targets) == 0:
        return _Unknowns(weights[0], float(np.exp(np.log(_NOISES).mean())), float(_SLOPES.mean()), 1.0)
    kernels = np.array([part.kernel(places, places) for part in parts]).reshape(len(parts), len(places), len(places))
    unit = float(np.std(targets))
    for _ in range(3 if noises.any() else 1):  # known noise is converted to units, which it helps to find
        found = _weighted_means(weights, kernels, score, targets, noises / unit)
        unit = found.unit
    return found


def _weight_choices(expected: Values) -> Values:
    """The expected weights; then those where one part explains more or less, with the same sum."""
    choices = [expected]
    for place in range(len(expected)):
        for factor in (_EMPHASIS, 1 / _EMPHASIS):
            changed = expected.copy()
            changed[place] *= factor
            choices.append(changed * expected.sum() / changed.sum())
    return np.array(choices)


def _weighted_means(weights: Values, kernels: Values, score: Values, targets: Values, noises: Values) -> _Unknowns:
    """The unknowns weighted by the likelihood of what the targets' unknown level leaves of them."""
    n = len(targets)
    diagonals = _NOISES[:, None] + noises**2
    covariances = np.tensordot(weights, kernels, 1)[:, None] + np.eye(n) * diagonals[:, None, :]
    factors = np.linalg.cholesky(covariances.reshape(-1, n, n))
    columns = np.stack([np.ones(n), score, targets - targets.mean()], 1)
    white = np.linalg.solve(factors, np.broadcast_to(columns, (len(factors), n, 3)))
    products = np.swapaxes(white, 1, 2) @ white
    ones, cross = products[:, 0, 0], products[:, 0, 1:]
    inner = products[:, 1:, 1:] - cross[:, :, None] * cross[:, None, :] / ones[:, None, None]
    volume = np.log(np.einsum("hii->hi", factors)).sum(1) + np.log(ones) / 2
    units = np.sqrt(np.maximum(inner[:, 1, 1], 1e-300) / (n - 1))[:, None] * _UNITS  # covariances × units
    fit = inner[:, 1, 1, None, None] / units[:, :, None] ** 2 - 2 * _SLOPES * (inner[:, 0, 1, None] / units)[:, :, None]
    fit = fit + _SLOPES**2 * inner[:, 0, 0, None, None]
    likelihood = -fit / 2 - (n - 1) * np.log(units)[:, :, None] - volume[:, None, None]
    share = np.exp(likelihood - likelihood.max())
    share /= share.sum()
    each = share.sum((1, 2)).reshape(len(weights), len(_NOISES))
    unit = float(np.exp((share.sum(2) * np.log(units)).sum()))
    rises = units[:, :, None] * _SLOPES / unit
    return _Unknowns(
        weights=np.exp(each.sum(1) @ np.log(weights)),
        noise=float(np.exp(each.sum(0) @ np.log(_NOISES))),
        slope=float(share.sum((0, 1)) @ _SLOPES),
        unit=unit,
        unit_variance=float((share.sum(2) * units**2).sum()) / unit**2,
        slope_variance=float((share * rises**2).sum() - (share * rises).sum() ** 2),
    )
