"""How far a search had got after each architecture: the best so far, or the front so far."""

from __future__ import annotations

import numpy as np
import pandas as pd

from zerocost.statistics.pareto import Floats, hypervolume
from zerocost.tasks.metrics import minimised

STEPS = 200
"""Most points at which the hypervolume of a front is computed."""
MARGIN = 0.1
"""How far the reference point lies below the worst value of an objective, as a share of the objective's range."""
MOST_HYPERVOLUME_OBJECTIVES = 3
"""Most objectives for which the hypervolume is fast to compute."""


def best_so_far(proposed: pd.DataFrame) -> pd.Series[float]:
    """How far a search had got after each number of architectures: the best value of its objective.

    For two or three objectives it is the hypervolume of the front, as a share of that of the final front. Each
    objective is scaled to its range, and the reference point lies a tenth of it below the worst value. For more
    objectives it is the number of architectures on the front.

    >>> best_so_far(pd.DataFrame({"snip": [np.nan, 2.0, 1.0, 3.0]})).to_dict()
    {2: 2.0, 3: 2.0, 4: 3.0}
    >>> best_so_far(pd.DataFrame({"snip": [0.0, 1.0], "params": [2.0, 1.0]})).round(3).to_dict()
    {1: 0.008, 2: 1.0}
    """
    counts = np.arange(1, len(proposed) + 1)
    if proposed.shape[1] == 1:
        column = proposed.iloc[:, 0].set_axis(counts)
        best = column.cummin() if minimised(str(proposed.columns[0])) else column.cummax()
        return best.ffill().dropna()
    signs = np.array([-1.0 if minimised(str(name)) else 1.0 for name in proposed])
    steps = np.unique(np.linspace(1, len(proposed), STEPS).round().astype(int))
    reached = pd.Series(_fronts_so_far(proposed.to_numpy() * signs, steps.tolist()), index=steps, dtype=float)
    return reached[reached > 0]


def _fronts_so_far(points: Floats, steps: list[int]) -> list[float]:
    """The hypervolume of the front, or its length, after each of the numbers of points; see `best_so_far`."""
    known = np.asarray(np.isfinite(points).all(axis=1))
    low = points[known].min(axis=0, initial=np.inf)
    span = points[known].max(axis=0, initial=-np.inf) - low
    above = np.where(known[:, None], points - low, 0.0)  # unknown values could overflow where it is near 0
    scaled = np.divide(above, span, out=np.ones_like(points), where=span > 0)
    reference = np.full(points.shape[1], -MARGIN)
    front, found = np.empty((0, points.shape[1])), []
    for count, (point, is_known) in enumerate(zip(scaled, known, strict=True), start=1):
        if is_known and not (front >= point).all(axis=1).any():
            front = np.vstack([front[~(point >= front).all(axis=1)], point])
        if count in steps:
            found.append(
                hypervolume(front, reference) if len(reference) <= MOST_HYPERVOLUME_OBJECTIVES else float(len(front))
            )
    return [value / (found[-1] or 1.0) for value in found] if len(reference) <= MOST_HYPERVOLUME_OBJECTIVES else found
