"""Which candidate to train next where accuracy is one of several objectives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from zerocost.base.errors import InputError
from zerocost.base.whole import check_whole
from zerocost.predict.belief import Belief
from zerocost.statistics.pareto import Floats, fronts, hypervolume

_MARGIN = 0.1
"""How far the reference point lies below the worst value of another objective, as a share of its range."""


def next_for_front(belief: Belief, others: pd.DataFrame, k: int = 1) -> list[str]:
    r"""The `k` candidates to train next for a front of accuracy and other objectives, best first.

    .. math:: \arg\max_i\; HV(F \cup \{(\mu_i + \sigma_i / 2,\, o_i)\}) - HV(F)

    :math:`F` is the front of those trained so far and :math:`HV` the hypervolume: each choice promises the most of it,
    with the expectation :math:`\mu`, its standard deviation :math:`\sigma` and the other objectives :math:`o`. A
    candidate that was chosen counts with its expectation for the next choice. The reference point is the median
    expectation, and a tenth of the range below the worst of each other objective. Where no candidate promises more
    hypervolume, the highest expectation plus half a standard deviation is next.

    Args:
        belief: what is expected of all candidates.
        others: a row each, a column each other objective, higher is better (negate costs).
        k: how many, as many as are left.

    Raises:
        InputError: `k` below 1, or a candidate whose other objectives are not all known.

    >>> from zerocost.predict import learn
    >>> names = [f"net{i}" for i in range(30)]
    >>> size = pd.Series(range(30), names, dtype=float)
    >>> belief = learn(pd.DataFrame({"count:size": size}), size, {})
    >>> chosen = next_for_front(belief, pd.DataFrame({"params": -size}), k=4)
    >>> sorted(size[chosen].astype(int).tolist())
    [18, 23, 27, 29]
    """
    check_whole("k", k)
    if not isinstance(others, pd.DataFrame) or not others.index.is_unique:
        raise InputError("others must be a data frame with one row for each candidate")
    names = belief.mean.index
    beside: Floats = others.reindex(names).apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    for place in np.flatnonzero(~np.isfinite(beside).all(axis=1))[:1]:
        raise InputError(f"{names[place]!r} lacks an objective; leave out candidates that do")
    expected = np.column_stack([belief.mean, beside])
    promised = np.column_stack([belief.hoped, beside])
    worst = beside.min(axis=0) - _MARGIN * np.ptp(beside, axis=0)
    reference = np.array([belief.mean.median(), *worst])
    trained = belief.trained.dropna()
    points = np.column_stack([trained, beside[names.get_indexer(trained.index)]])
    left = ~names.isin(belief.trained.index)
    chosen: list[int] = []
    for _ in range(min(k, int(left.sum()))):
        chosen.append(_most_gain(promised, points, reference, left))
        left[chosen[-1]] = False
        points = np.vstack([points, expected[chosen[-1]]])
    return [str(names[place]) for place in chosen]


def _most_gain(promised: Floats, points: Floats, reference: Floats, left: npt.NDArray[np.bool]) -> int:
    """The place that is left and adds most to the hypervolume of `points`, the most promising of equal ones."""
    front = points[fronts(points) == 0]
    before = hypervolume(front, reference)
    gains = np.where(left, 0.0, -np.inf)
    beaten = (front[:, None] >= promised).all(axis=2).any(axis=0) | (promised <= reference).any(axis=1)
    for place in np.flatnonzero(left & ~beaten):
        gains[place] = hypervolume(np.vstack([front, promised[place]]), reference) - before
    return int(np.lexsort((promised[:, 0], gains))[-1])
