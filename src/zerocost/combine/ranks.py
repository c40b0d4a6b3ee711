"""Rank aggregation: several columns of scores combined into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from zerocost.base.errors import InputError

_Floats = npt.NDArray[np.float64]
_VOTE_BLOCK = 256
"""How many candidates a vote compares with all others at once."""
_ROUNDS = 10
"""How often agreement is measured against the rest by the agreement before; five change it by less than .01."""


def _relative_ranks(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> pd.DataFrame:
    r"""The relative rank :math:`r_m / n` of each score in its column, 1 for the best, ties sharing their mean rank.

    A column of negative weight is ranked in reverse. With a reference of n scores, :math:`r_m` is one more than the
    number of reference scores below the candidate's, where equal ones count half, and is divided by n + 1. NaN where
    a score failed, or all scores of the reference did.

    >>> _relative_ranks(pd.DataFrame({"a": [1.0, 2.0, None]})).a.tolist()
    [0.5, 1.0, nan]
    """
    signed = scores * weight_signs(scores, weights)
    if reference is None:
        return pd.DataFrame(signed.rank() / signed.notna().sum())
    flipped = reference[list(scores)] * weight_signs(scores, weights)
    return pd.DataFrame({name: _ranks_among(signed[name], flipped[name]) for name in scores}, index=scores.index)


def _ranks_among(values: pd.Series[float], reference: pd.Series[float]) -> _Floats:
    """The relative rank of each value among the reference, whatever the other values are."""
    known, value = np.sort(reference.dropna().to_numpy()), values.to_numpy(np.float64)
    below = (np.searchsorted(known, value, "left") + np.searchsorted(known, value, "right")) / 2
    return np.where(np.isnan(value) | (len(known) == 0), np.nan, (below + 1) / (len(known) + 1))


def _column_weights(columns: pd.DataFrame, weights: Mapping[str, float] | None) -> _Floats:
    """The weight of each column, 1 where none is given."""
    return np.array([(weights or {}).get(str(name), 1.0) for name in columns])


def weight_signs(scores: pd.DataFrame, weights: Mapping[str, float] | None) -> _Floats:
    """−1 for each column of negative weight, 1 for the others."""
    return np.copysign(1.0, _column_weights(scores, weights))


def log_rank(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> pd.Series[float]:
    r"""Non-linear rank aggregation :math:`\sum_m |w_m| \log(r_m / n)` over the columns, as in AZ-NAS (CVPR 2024).

    :math:`r_m` is the candidate's rank by proxy :math:`m`, see `_relative_ranks`. One bad rank weighs more than one
    good rank gains. A failed score (NaN) neither helps nor hurts: the candidate gets the mean of its other terms in its
    place. A candidate with no score at all gets −∞.

    Args:
        scores: one row a candidate, one column a proxy, higher is better.
        weights: the weight of each column; 1 if it is not given, negative if less is better.
        reference: scores of other candidates to rank among, so that a candidate's value does not depend on the other
            rows of `scores`; without it, candidates are ranked among each other.

    Returns:
        One value for each candidate, at most 0; higher is better.

    >>> log_rank(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}, index=["x", "y"])).round(3).to_dict()
    {'x': -1.386, 'y': 0.0}
    >>> log_rank(pd.DataFrame({"a": [0.0, 9.0]}), reference=pd.DataFrame({"a": [1.0, 2.0, 3.0]})).round(3).tolist()
    [-1.386, 0.0]
    """
    return _weighted_sum(pd.DataFrame(np.log(_relative_ranks(scores, weights, reference))), weights)


def rank_mean(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> pd.Series[float]:
    r"""Weighted mean of relative ranks, :math:`\sum_m |w_m| r_m / n \,/\, \sum_m |w_m|`, over the scores it has.

    Takes the arguments of `log_rank`. Values are from 0 to 1, and −∞ for a candidate with no score at all.

    >>> rank_mean(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, None]}, index=["x", "y"])).to_dict()
    {'x': 0.75, 'y': 1.0}
    """
    ranks = _relative_ranks(scores, weights, reference)
    return _weighted_sum(ranks, weights).div(_weight_sizes(ranks, weights).sum())


def vote(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> pd.Series[float]:
    """The share of other candidates that a majority of the proxies ranks below this one (Abdelfattah, ICLR 2021).

    Each proxy votes on each pair with its weight. It abstains if it failed for either candidate or ties them. A pair
    without a majority counts half. Takes the arguments of `log_rank`; −∞ for a candidate with no score at all.

    >>> vote(pd.DataFrame({"a": [1.0, 2, 3], "b": [1.0, 2, 3], "c": [3.0, 2, 1]}, index=["x", "y", "z"])).to_dict()
    {'x': 0.0, 'y': 0.5, 'z': 1.0}
    """
    turn, sizes = weight_signs(scores, weights), _weight_sizes(scores, weights)
    ours = scores.to_numpy(np.float64) * turn
    theirs = ours if reference is None else reference[list(scores)].to_numpy(np.float64) * turn
    wins = np.empty(len(ours))
    for start in range(0, len(ours), _VOTE_BLOCK):
        rows = ours[start : start + _VOTE_BLOCK]
        balance = np.zeros((len(rows), len(theirs)))
        for m, size in enumerate(sizes):
            balance += size * np.nan_to_num(np.sign(rows[:, m, None] - theirs[None, :, m]))
        wins[start : start + _VOTE_BLOCK] = ((np.sign(balance) + 1) / 2).sum(1)
    alone = 0 if reference is not None else 1
    share = (wins - alone / 2) / max(len(theirs) - alone, 1)
    return pd.Series(np.where(np.isnan(ours).all(1), -np.inf, share), index=scores.index)


def agreement(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> dict[str, float]:
    r"""How far each column agrees with the others, :math:`a_m = \max(0, \rho(r_m, \sum_{k \ne m} a_k r_k))`, 0 to 1.

    :math:`\rho` is Spearman's correlation of the column's relative ranks :math:`r_m` with the mean of the others', in
    which each counts as much as it agrees itself, so that noise is no measure for the rest: ten rounds from
    :math:`a = 1`. It is measured on the reference, if there is one. Where no two columns agree, or there are fewer than
    three, all have 1.

    >>> scores = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [1.0, 2, 4, 3], "noise": [3.0, 1, 4, 2]})
    >>> {name: round(value, 2) for name, value in agreement(scores).items()}
    {'a': 0.8, 'b': 0.8, 'noise': 0.4}
    """
    frame = _relative_ranks(scores if reference is None else reference[list(scores)], weights)
    ranks, sizes = frame.to_numpy(np.float64), _weight_sizes(frame, weights)
    found = np.ones(len(sizes))
    if ((~np.isnan(ranks)).any(0) & (sizes > 0)).sum() > 2:
        for _ in range(_ROUNDS):
            found = _agreement_with_rest(ranks, sizes * found)
    return dict(zip(map(str, frame), (found if found.any() else np.ones(len(sizes))).tolist(), strict=True))


def _agreement_with_rest(ranks: _Floats, sizes: _Floats) -> _Floats:
    """Correlation of each column with the mean of the others, of these sizes; 0 at least."""
    known = ~np.isnan(ranks)
    sums, held = np.nansum(ranks * sizes, axis=1), known @ sizes
    found = np.zeros(len(sizes))
    for m, size in enumerate(sizes):
        rest = held - size * known[:, m]
        both = known[:, m] & (rest > 1e-9)
        others = ((sums[both] - ranks[both, m] * size) / rest[both]).round(12)  # equal means are ties
        found[m] = max(0.0, _rank_correlation(ranks[both, m], others))
    return found


def _rank_correlation(first: _Floats, second: _Floats) -> float:
    """Spearman's correlation; 0 where it is not defined."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef([_mean_ranks(first), _mean_ranks(second)])[0, 1])


def _mean_ranks(values: _Floats) -> _Floats:
    """Ranks of which equal values share the mean, as pandas gives them, several times as fast for a hundred values."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: _Floats = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _agreed_weights(
    scores: pd.DataFrame, weights: Mapping[str, float] | None, reference: pd.DataFrame | None
) -> dict[str, float]:
    """The weight of each column times its agreement with the others."""
    given = zip(agreement(scores, weights, reference).items(), _column_weights(scores, weights), strict=True)
    return {name: float(np.copysign(agreed * abs(weight), weight)) for (name, agreed), weight in given}


def consensus(
    scores: pd.DataFrame, weights: Mapping[str, float] | None = None, reference: pd.DataFrame | None = None
) -> pd.Series[float]:
    r"""`log_rank` in which a column counts as much as it agrees with others, :math:`\sum_m a_m |w_m| \log(r_m / n)`.

    :math:`a_m` is its `agreement`. No trained network is needed: where a proxy is noise, it agrees with none of the
    others and drops out. Takes the arguments of `log_rank`.

    >>> scores = pd.DataFrame({"a": [1.0, 2, 3], "b": [1.0, 2, 3], "c": [1.0, 2, 3], "against": [3.0, 2, 1]})
    >>> consensus(scores).round(3).tolist(), log_rank(scores).round(3).tolist()
    ([-3.296, -1.216, 0.0], [-3.296, -1.622, -1.099])
    """
    return log_rank(scores, _agreed_weights(scores, weights, reference), reference)


METHODS: dict[str, Callable[..., pd.Series[float]]] = {
    "log_rank": log_rank,
    "rank_mean": rank_mean,
    "vote": vote,
    "consensus": consensus,
}


def score_terms(
    method: str, scores: pd.DataFrame, weights: Mapping[str, float] | None, reference: pd.DataFrame | None
) -> pd.DataFrame:
    """What each column adds to a candidate's value, NaN where its score failed; `InputError` for a vote.

    >>> score_terms("log_rank", pd.DataFrame({"a": [1.0, 2.0]}), None, None).round(3).a.tolist()
    [-0.693, 0.0]
    """
    if method == "consensus":
        weights = _agreed_weights(scores, weights, reference)
    ranks = _relative_ranks(scores, weights, reference)
    sizes = _weight_sizes(scores, weights)
    if method in {"log_rank", "consensus"}:
        return pd.DataFrame(np.log(ranks) * sizes)
    if method == "rank_mean":
        return pd.DataFrame(ranks * sizes / sizes.sum())
    raise InputError(f"a {method} is not a sum of terms; leave proxies out one at a time instead")


def _weight_sizes(columns: pd.DataFrame, weights: Mapping[str, float] | None) -> _Floats:
    """The magnitude of each column's weight."""
    return np.abs(_column_weights(columns, weights))


def _weighted_sum(parts: pd.DataFrame, weights: Mapping[str, float] | None) -> pd.Series[float]:
    """The weighted sum of each row, with the mean of the others in place of a missing part; −∞ for an empty row."""
    sizes = _weight_sizes(parts, weights)
    values = parts.to_numpy(np.float64)
    known = ~np.isnan(values)
    held = (known * sizes).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.where(known, values * sizes, 0).sum(1) / held * sizes.sum()
    return pd.Series(np.where(held > 0, total, -np.inf), index=parts.index)
