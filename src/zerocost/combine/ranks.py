"""Rank aggregation: several columns of scores made one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from zerocost.base.errors import InputError

Floats = npt.NDArray[np.float64]
AT_ONCE = 256
"""Candidates that a vote compares with all others at a time."""


def relative(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> pd.DataFrame:
    r"""The relative rank :math:`r_m / n` of each score in its column, 1 for the best, ties sharing their mean rank.

    A column of negative weight is ranked the other way round. With a reference, :math:`r_m` is one more than the
    number of reference scores below the candidate's, half for equal ones, out of n + 1. NaN where a score failed, or
    all those of the reference did.

    >>> relative(pd.DataFrame({"a": [1.0, 2.0, None]})).a.tolist()
    [0.5, 1.0, nan]
    """
    signed = scores * turns(scores, weights)
    if reference is None:
        return pd.DataFrame(signed.rank() / signed.notna().sum())
    turned = reference[list(scores)] * turns(scores, weights)
    return pd.DataFrame({name: among(signed[name], turned[name]) for name in scores}, index=scores.index)


def among(values: pd.Series[float], reference: pd.Series[float]) -> Floats:
    """The relative rank of each value alone among the reference."""
    known, value = np.sort(reference.dropna().to_numpy()), values.to_numpy(np.float64)
    below = (np.searchsorted(known, value, "left") + np.searchsorted(known, value, "right")) / 2
    return np.where(np.isnan(value) | (len(known) == 0), np.nan, (below + 1) / (len(known) + 1))


def weighted(columns: pd.DataFrame, weights: Mapping[str, float] | None) -> Floats:
    """The weight of each column, 1 where none is given."""
    return np.array([(weights or {}).get(str(name), 1.0) for name in columns])


def turns(scores: pd.DataFrame, weights: Mapping[str, float] | None) -> Floats:
    """−1 for each column of negative weight, 1 for the others."""
    return np.copysign(1.0, weighted(scores, weights))


def log_rank(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> pd.Series[float]:
    r"""Non-linear rank aggregation :math:`\sum_m |w_m| \log(r_m / n)` over the columns, as in AZ-NAS (CVPR 2024).

    :math:`r_m` is the candidate's rank by proxy :math:`m`, see `relative`. One bad rank weighs more than one good rank
    gains. A failed score (NaN) neither helps nor hurts: the candidate gets the mean of its other terms in its place; a
    candidate with no score at all gets −∞.

    Args:
        scores: one row a candidate, one column a proxy, higher is better.
        weights: of each column; 1 where it is not named, negative where less is better.
        reference: scores of other candidates to rank among, so that a candidate's value is the same whoever else is
            asked about; ranks are within `scores` without it.

    Returns:
        One value a candidate, at most 0; higher is better.

    >>> log_rank(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}, index=["x", "y"])).round(3).to_dict()
    {'x': -1.386, 'y': 0.0}
    >>> log_rank(pd.DataFrame({"a": [0.0, 9.0]}), reference=pd.DataFrame({"a": [1.0, 2.0, 3.0]})).round(3).tolist()
    [-1.386, 0.0]
    """
    return added(pd.DataFrame(np.log(relative(scores, weights, reference))), weights)


def rank_mean(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> pd.Series[float]:
    r"""Weighted mean of relative ranks, :math:`\sum_m |w_m| r_m / n \,/\, \sum_m |w_m|`, over the scores there are.

    Arguments are those of `log_rank`, values from 0 to 1, −∞ for a candidate with no score at all.

    >>> rank_mean(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, None]}, index=["x", "y"])).to_dict()
    {'x': 0.75, 'y': 1.0}
    """
    ranks = relative(scores, weights, reference)
    return added(ranks, weights).div(magnitudes(ranks, weights).sum())


def vote(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> pd.Series[float]:
    """The share of other candidates that a majority of the proxies place below this one (Abdelfattah, ICLR 2021).

    Each proxy has a vote of its weight on each pair; one that failed for either candidate, or has them equal,
    abstains; a pair without majority counts half. Arguments are those of `log_rank`; −∞ without any score.

    >>> vote(pd.DataFrame({"a": [1.0, 2, 3], "b": [1.0, 2, 3], "c": [3.0, 2, 1]}, index=["x", "y", "z"])).to_dict()
    {'x': 0.0, 'y': 0.5, 'z': 1.0}
    """
    turn, sizes = turns(scores, weights), magnitudes(scores, weights)
    ours = scores.to_numpy(np.float64) * turn
    theirs = ours if reference is None else reference[list(scores)].to_numpy(np.float64) * turn
    wins = np.empty(len(ours))
    for start in range(0, len(ours), AT_ONCE):
        rows = ours[start : start + AT_ONCE]
        balance = np.zeros((len(rows), len(theirs)))
        for m, size in enumerate(sizes):
            balance += size * np.nan_to_num(np.sign(rows[:, m, None] - theirs[None, :, m]))
        wins[start : start + AT_ONCE] = ((np.sign(balance) + 1) / 2).sum(1)
    alone = 0 if reference is not None else 1
    share = (wins - alone / 2) / max(len(theirs) - alone, 1)
    return pd.Series(np.where(np.isnan(ours).all(1), -np.inf, share), index=scores.index)


METHODS: dict[str, Callable[..., pd.Series[float]]] = {"log_rank": log_rank, "rank_mean": rank_mean, "vote": vote}


def terms(
    method: str, scores: pd.DataFrame, weights: Mapping[str, float] | None, reference: pd.DataFrame | None
) -> pd.DataFrame:
    """What each column adds to a candidate's value, NaN where its score failed; a vote has no such parts.

    >>> terms("log_rank", pd.DataFrame({"a": [1.0, 2.0]}), None, None).round(3).a.tolist()
    [-0.693, 0.0]
    """
    ranks = relative(scores, weights, reference)
    sizes = magnitudes(scores, weights)
    if method == "log_rank":
        return pd.DataFrame(np.log(ranks) * sizes)
    if method == "rank_mean":
        return pd.DataFrame(ranks * sizes / sizes.sum())
    raise InputError(f"a {method} is no sum of parts; leave proxies out one at a time instead")


def magnitudes(columns: pd.DataFrame, weights: Mapping[str, float] | None) -> Floats:
    """The size of each column's weight."""
    return np.abs(weighted(columns, weights))


def added(parts: pd.DataFrame, weights: Mapping[str, float] | None = None) -> pd.Series[float]:
    """The weighted sum of each row, the mean of the others in place of a missing part; −∞ for a row without any."""
    sizes = magnitudes(parts, weights)
    values = parts.to_numpy(np.float64)
    known = ~np.isnan(values)
    held = (known * sizes).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.where(known, values * sizes, 0).sum(1) / held * sizes.sum()
    return pd.Series(np.where(held > 0, total, -np.inf), index=parts.index)
