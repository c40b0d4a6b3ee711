"""Pareto fronts of several objectives, and the hypervolume they cover. Higher is better in every objective."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zerocost.base.errors import InputError

Floats = npt.NDArray[np.float64]


def fronts(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The front that each point lies in: 0 for those that no other dominates, 1 for those only front 0 dominates, …

    A point dominates another when it is at least as good in every objective and better in one. Points with an
    objective that is NaN or infinite are dominated by all others and share the last front.

    Args:
        values: points × objectives, higher is better (negate what is to be small).

    Returns:
        One number a point.

    Raises:
        InputError: `values` is no matrix.

    >>> fronts([[2, 1], [1, 2], [1, 1], [float("nan"), 9]]).tolist()
    [0, 0, 1, 2]
    """
    points = _points_matrix(values)
    known = np.isfinite(points).all(axis=1)
    distinct, place = np.unique(-points[known], axis=0, return_inverse=True)  # dominators before the dominated
    columns, ranks = np.ascontiguousarray(distinct.T), np.zeros(len(distinct), dtype=np.int64)
    for i, point in enumerate(distinct):
        dominators = np.logical_and.reduce([column[:i] <= x for column, x in zip(columns, point, strict=True)])
        ranks[i] = 1 + ranks[:i][dominators].max(initial=-1)
    found = np.full(len(points), 1 + ranks.max(initial=-1))
    found[known] = ranks[place]
    return found


def crowding(values: npt.ArrayLike) -> Floats:
    """How far each point of one front is from its neighbours: the crowding distance of NSGA-II (Deb et al., 2002).

    For each objective the distance between the next better and the next worse point, as a share of the range; their
    sum. Points at the ends of an objective have an infinite distance; an objective in which all are equal counts
    nothing.

    Args:
        values: points × objectives, finite.

    Returns:
        One number a point, infinite at the ends.

    Raises:
        InputError: `values` is no matrix.

    >>> crowding([[0, 4], [1, 3], [4, 0]]).tolist()
    [inf, 2.0, inf]
    """
    points = _points_matrix(values)
    distances = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        if not len(ordered) or ordered[0] == ordered[-1]:
            continue
        gaps = np.full(len(ordered), np.inf)
        gaps[1:-1] = (ordered[2:] - ordered[:-2]) / (ordered[-1] - ordered[0])
        distances[order] += gaps
    return distances


def crowded_order(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The places of the points, best first: by front, and within a front the least crowded first.

    Takes the arguments of `fronts` and raises its errors.

    >>> crowded_order([[1, 1], [0, 9], [5, 5], [9, 0], [6, 4]]).tolist()
    [1, 3, 2, 4, 0]
    """
    points = _points_matrix(values)
    ranks, distances = fronts(points), np.zeros(len(points))
    finite = np.isfinite(points).all(axis=1)
    for rank in np.unique(ranks[finite]):
        members = np.flatnonzero(finite & (ranks == rank))
        distances[members] = crowding(points[members])
    return np.lexsort((-distances, ranks))


def crowded_fitness(values: npt.ArrayLike) -> Floats:
    """How good each point is as one number, higher is better: minus its place in `crowded_order`.

    Takes the arguments of `fronts` and raises its errors.

    >>> crowded_fitness([[1, 1], [0, 9], [5, 5], [9, 0], [6, 4]]).tolist()
    [-4.0, 0.0, -2.0, -1.0, -3.0]
    """
    places = crowded_order(values)
    found = np.empty(len(places))
    found[places] = np.arange(0.0, -len(places), -1.0)
    return found


def knee(values: npt.ArrayLike) -> int | None:
    """The place of the point of a front from which a gain in one objective costs most in the others.

    With each objective scaled to its range on the front, 1 for its best value, it is the point with the largest sum. Of
    two objectives that is the point farthest from the line through both ends of the front (Das, Structural Optimization
    18, 1999).

    Args:
        values: the points of one front × objectives, finite, higher is better.

    Returns:
        The first such place; None where no sum is above 1, which is that of an end that is worst in all else.

    Raises:
        InputError: `values` is no matrix.

    >>> knee([[0, 10], [8, 9], [10, 0]]), knee([[0, 10], [10, 0]])
    (1, None)
    """
    points = _points_matrix(values)
    if not len(points):
        return None
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    sums = np.divide(points - low, span, out=np.zeros_like(points), where=span > 0).sum(axis=1)
    return int(sums.argmax()) if sums.max() > 1 else None


def hypervolume(values: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The volume of all that lies between a reference point and some point of `values`; exact.

    Two objectives take n·log n steps, and each further one n times as many: fit for fronts of a thousand points in
    three objectives, of a hundred in four.

    Args:
        values: points × objectives, higher is better. What is not better than the reference in every objective, or
            not finite, adds nothing.
        reference: the worst value of interest in each objective.

    Returns:
        The volume, in the product of the objectives' units; 0 without points.

    Raises:
        InputError: `values` is no matrix, or `reference` no finite point of as many objectives.

    >>> hypervolume([[1, 3], [2, 1]], reference=[0, 0])
    4.0
    """
    points, worst = _points_matrix(values), np.asarray(reference, dtype=np.float64)
    if worst.shape != points.shape[1:] or not np.isfinite(worst).all():
        raise InputError(f"the reference must be {points.shape[1]} finite numbers, one an objective, but got {worst}")
    above = points[np.isfinite(points).all(axis=1)] - worst
    return _sliced_volume(above[(above > 0).all(axis=1)])


def _sliced_volume(points: Floats) -> float:
    """The hypervolume of positive points over the origin, slice by slice along the last objective."""
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    points = points[np.argsort(-points[:, -1], kind="stable")]
    heights = points[:, -1]
    if points.shape[1] == 2:
        widths = np.maximum.accumulate(points[:, 0])
        return float(widths @ (heights - np.append(heights[1:], 0.0)))
    points = points[:, :-1]
    thickness = heights - np.append(heights[1:], 0.0)
    return float(sum(thick * _sliced_volume(points[: i + 1]) for i, thick in enumerate(thickness) if thick))


def _points_matrix(values: npt.ArrayLike) -> Floats:
    """Points × objectives as an array; `InputError` for what is no matrix of numbers."""
    points = np.asarray(values, dtype=np.float64)
    if points.ndim != 2 or not points.shape[1]:
        raise InputError(f"expected points × objectives, a row a point, but got an array of shape {points.shape}")
    return points
