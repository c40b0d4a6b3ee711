"""Rank aggregation."""

from __future__ import annotations

import numpy as np
import pandas as pd


def log_rank(scores: pd.DataFrame) -> pd.Series:
    r"""Non-linear rank aggregation :math:`\sum_m \log(r_m / n)` over the columns, as in AZ-NAS (Lee & Ham, CVPR 2024).

    :math:`r_m` is the candidate's rank by proxy :math:`m`, 1 for the worst and n for the best, ties sharing their mean
    rank. One bad rank weighs more than one good rank gains. A failed score (NaN) neither helps nor hurts: the
    candidate gets the mean of its other terms in its place; a candidate with no score at all gets −∞.

    Args:
        scores: one row a candidate, one column a proxy, higher is better.

    Returns:
        One value a candidate, at most 0; higher is better, relative to this pool of candidates.

    >>> log_rank(pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}, index=["x", "y"])).round(3).to_dict()
    {'x': -1.386, 'y': 0.0}
    """
    return added(pd.DataFrame(np.log(scores.rank() / scores.notna().sum())))


def log_rank_against(scores: pd.DataFrame, reference: pd.DataFrame) -> pd.Series:
    r"""`log_rank` of each candidate alone among a fixed reference, so that it is the same whoever else is asked about.

    :math:`r_m` is one more than the number of reference scores below the candidate's, half for equal ones, out of
    n + 1. Failed scores count as in `log_rank`.

    >>> reference = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    >>> log_rank_against(pd.DataFrame({"a": [0.0, 9.0]}), reference).round(3).tolist()
    [-1.386, 0.0]
    """
    terms = {}
    for name in scores:
        known = np.sort(reference[name].dropna().to_numpy())
        value = scores[name].to_numpy()
        below = (np.searchsorted(known, value, "left") + np.searchsorted(known, value, "right")) / 2
        terms[name] = np.where(np.isnan(value), np.nan, np.log((below + 1) / (len(known) + 1)))
    return added(pd.DataFrame(terms, index=scores.index))


def added(terms: pd.DataFrame) -> pd.Series:
    """The sum of each row, the mean of the others in place of a missing term; −∞ for a row without any."""
    combined = terms.mean(axis=1) * terms.shape[1]
    total: pd.Series = combined.where(combined.notna(), -np.inf)
    return total
