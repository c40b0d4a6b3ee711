"""The statistics of `ranking` in many resamples at once, out of how often each architecture was drawn.

The order of the architectures is the same in all resamples, so each score is sorted once and no resample is. Scores,
truths and sizes are vectors of n; `counts` are resamples × n, and a result has one value a resample. What `ranking`
says of architectures that come first holds for their place among the n.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zerocost.statistics.ranking import Values, log_choose, safe_quotient

_Places = npt.NDArray[np.intp]


class _Levels(NamedTuple):
    """Equal values, from the lowest on.

    Attributes:
        order: the places by value.
        starts: where each level begins in that order.
        level: of each place.
    """

    order: _Places
    starts: _Places
    level: _Places

    @classmethod
    def of(cls, values: npt.NDArray[np.generic]) -> _Levels:
        order = np.argsort(values, kind="stable")
        rises = np.ones(len(values), dtype=bool)
        rises[1:] = values[order][1:] != values[order][:-1]
        level = np.empty(len(values), dtype=np.intp)
        level[order] = np.cumsum(rises) - 1
        return cls(order, np.flatnonzero(rises), level)

    def sizes(self, counts: Values) -> Values:
        """How many were drawn of each level."""
        found: Values = np.add.reduceat(counts[:, self.order], self.starts, axis=1)
        return found

    def chunks(self, size: int) -> _Places:
        """The chunk of each place: chunks of about `size` places, in the order of the values, equal values together."""
        large = np.diff(self.starts, append=len(self.order)) > size
        begins = large.copy()
        begins[1:] |= large[:-1] | (np.diff(self.starts // size) > 0)
        begins[0] = False
        found: _Places = np.cumsum(begins, dtype=np.intp)[self.level]
        return found


def spearman(scores: Values, truth: Values, counts: Values) -> Values:
    r"""Spearman's :math:`\rho`.

    >>> rising, twice_the_first = np.array([1.0, 2.0, 3.0]), np.array([[2.0, 1.0, 0.0]])
    >>> spearman(-rising, rising, twice_the_first)
    array([-1.])
    """
    return _correlation(_centred_ranks(scores, counts), _centred_ranks(truth, counts), counts)


def partial_spearman(scores: Values, truth: Values, given: Values, counts: Values) -> Values:
    """Spearman correlation with what both owe to a third quantity taken out."""
    s, t, z = (_centred_ranks(values, counts) for values in (scores, truth, given))
    st, sz, tz = (_correlation(*pair, counts) for pair in ((s, t), (s, z), (t, z)))
    return safe_quotient(st - sz * tz, np.sqrt(np.clip((1 - sz**2) * (1 - tz**2), 0, None)))


def _centred_ranks(values: Values, counts: Values) -> Values:
    """The rank of each architecture less the mean rank; equal values share theirs."""
    levels = _Levels.of(values)
    sizes = levels.sizes(counts)
    middle = np.cumsum(sizes, axis=1) - sizes / 2
    found: Values = (middle - counts.sum(axis=1, keepdims=True) / 2)[:, levels.level]
    return found


def _correlation(x: Values, y: Values, counts: Values) -> Values:
    """Product-moment correlation of centred values; NaN where one side is constant."""
    weighted = x * counts
    scale = np.sqrt(_along(weighted, x) * _along(y * counts, y))
    return safe_quotient(_along(weighted, y), scale)


def _along(one: Values, other: Values) -> Values:
    """The scalar product of each two rows."""
    found: Values = np.einsum("ij,ij->i", one, other)
    return found


def kendall(scores: Values, truth: Values, counts: Values) -> Values:
    r"""Kendall's :math:`\tau_b`; 0 of one that is drawn twice with itself, as of any equal two.

    >>> rising, once = np.array([1.0, 2.0, 3.0]), np.ones((1, 3))
    >>> kendall(rising, np.array([1.0, 3.0, 2.0]), once).round(3)
    array([0.333])
    """
    by_score, by_truth = _Levels.of(scores), _Levels.of(truth)
    number = counts.sum(axis=1)
    pairs = number * (number - 1) / 2
    tied = [(sizes * (sizes - 1)).sum(axis=1) / 2 for sizes in (by_score.sizes(counts), by_truth.sizes(counts))]
    return safe_quotient(_agreement(by_score, by_truth, counts), np.sqrt((pairs - tied[0]) * (pairs - tied[1])))


def _agreement(by_score: _Levels, by_truth: _Levels, counts: Values) -> Values:
    """Pairs in the same order by score and truth less those in opposite order.

    Both orders are cut into √n chunks. Pairs that share a chunk are compared one by one, as a product of matrices; the
    order of all others is that of their chunks, so that a table of what was drawn of each two chunks is enough.
    """
    size = math.isqrt(counts.shape[1]) + 1
    score_chunk, truth_chunk = by_score.chunks(size), by_truth.chunks(size)
    shape = int(score_chunk.max()) + 1, int(truth_chunk.max()) + 1
    cell = score_chunk * shape[1] + truth_chunk
    cells, table = _Levels.of(cell), np.zeros((len(counts), math.prod(shape)))
    table[:, cell[cells.order[cells.starts]]] = cells.sizes(counts)
    later, higher = (_signs(np.arange(length)) for length in shape)
    of_chunks = table.reshape(-1, *shape)
    twice = _along((later.T @ of_chunks @ higher).reshape(table.shape), table)
    for chunk, levels, before in (
        (score_chunk, by_score.level, by_score.level),
        (truth_chunk, by_truth.level, score_chunk),
    ):
        for places in np.split((by_chunk := _Levels.of(chunk)).order, by_chunk.starts[1:]):
            if np.ptp(levels[places]):
                signs = _signs(before[places]) * _signs(by_truth.level[places])
                twice += _along(counts[:, places] @ signs, counts[:, places])
    found: Values = twice / 2
    return found


def _signs(levels: npt.NDArray[np.intp]) -> Values:
    """The sign of the difference of each two."""
    found: Values = np.sign(levels - levels[:, None]).astype(np.float64)
    return found


def top_kendall(scores: Values, truth: Values, counts: Values, share: float = 0.1) -> Values:
    r"""Kendall's :math:`\tau_b` among a share of the highest truth."""
    best = np.argsort(-truth, kind="stable")
    return _kendall_between(scores, truth, counts, best, 0, math.ceil(share * counts.shape[1]))


def binned_kendall(scores: Values, truth: Values, size: Values, counts: Values, bins: int = 4) -> Values:
    r"""Mean of Kendall's :math:`\tau_b` within bins of equally many that were drawn, of similar size."""
    by_size = np.argsort(size, kind="stable")
    bounds = np.cumsum([0, *map(len, np.array_split(by_size, bins))])
    found = np.stack(
        [_kendall_between(scores, truth, counts, by_size, *ends) for ends in itertools.pairwise(bounds.tolist())]
    )
    return safe_quotient(np.nansum(found, axis=0), np.isfinite(found).sum(axis=0).astype(float))


def _kendall_between(scores: Values, truth: Values, counts: Values, order: _Places, low: int, high: int) -> Values:
    """Kendall's correlation of those drawn from the `low`-th to before the `high`-th in an order."""
    if low == high:
        return np.full(len(counts), np.nan)
    last = np.cumsum(counts[:, order], axis=1)
    kept = np.clip(np.minimum(last, high) - np.maximum(last - counts[:, order], low), 0, None)
    some = kept.any(axis=0)
    places = order[some]
    return kendall(scores[places], truth[places], kept[:, some])


def ndcg(scores: Values, truth: Values, counts: Values, share: float = 0.1) -> Values:
    """Normalised discounted cumulative gain with linear gain."""
    return _discounted_gain(scores, truth, np.broadcast_to(truth, counts.shape), counts, share)


def ndcg_vkdnw(scores: Values, truth: Values, counts: Values, share: float = 0.1) -> Values:
    """`ndcg` with exponential gain of a truth in percent."""
    best = np.where(counts > 0, truth, -np.inf).max(axis=1, keepdims=True)
    below = np.minimum(truth - best, 0)  # those above were not drawn
    return _discounted_gain(scores, truth, np.exp2(below) - np.exp2(-best), counts, share)


def _discounted_gain(scores: Values, truth: Values, gain: Values, counts: Values, share: float) -> Values:
    """The discounted gain in the order of the scores, divided by that in the order of the truth."""
    n = counts.shape[1]
    discounts = 1 / np.log2(np.arange(2, n + 2))
    discounts[math.ceil(share * n) :] = 0
    sums = np.concatenate([[0.0], np.cumsum(discounts)])
    found, ideal = (_along(gain * counts, _mean_discounts(values, counts, sums)) for values in (scores, truth))
    return safe_quotient(found, ideal)


def _mean_discounts(values: Values, counts: Values, sums: Values) -> Values:
    """The discount of each, highest first, equal values with their mean; `sums` are those of the first discounts."""
    levels = _Levels.of(-values)
    sizes = levels.sizes(counts)
    last = np.cumsum(sizes, axis=1)
    share = sums[last.astype(np.intp)] - sums[(last - sizes).astype(np.intp)]
    found: Values = (share / np.maximum(sizes, 1))[:, levels.level]
    return found


def precision_at(scores: Values, truth: Values, counts: Values, k: int) -> Values:
    """Share of the `k` highest scores that are among the `k` highest truths."""
    return _along(counts * _pick_chances(scores, counts, k), _pick_chances(truth, counts, k)) / k


def _pick_chances(values: Values, counts: Values, k: int) -> Values:
    """The chance of each drawn one to be among the `k` highest values, when equal ones are chosen at random."""
    levels = _Levels.of(-values)
    sizes = levels.sizes(counts)
    above = np.cumsum(sizes, axis=1) - sizes
    found: Values = np.clip((k - above) / np.maximum(sizes, 1), 0, 1)[:, levels.level]
    return found


def best_rank_at(scores: Values, truth: Values, counts: Values, k: int) -> Values:
    """The rank by truth, 1 for the best, of the best architecture among the `k` highest scores."""
    levels = _Levels.of(-truth)
    sizes = levels.sizes(counts)
    ranks = (1 + np.cumsum(sizes, axis=1) - sizes)[:, levels.level]
    return _along(_chances_of_best(scores, truth, counts, k), ranks)


def regret_at(scores: Values, truth: Values, counts: Values, k: int) -> Values:
    """How far the best architecture among the `k` highest scores stays below the best that was drawn."""
    best = np.where(counts > 0, truth, -np.inf).max(axis=1)
    found: Values = np.maximum(best - _chances_of_best(scores, truth, counts, k) @ truth, 0.0)
    return found


def _chances_of_best(scores: Values, truth: Values, counts: Values, k: int) -> Values:
    """The chance of each architecture to be the best by truth among the `k` highest scores.

    Those above the k-th score are picked; of the g that have it, m are drawn at random, so that t of them are all left
    out with chance C(g − t, m) / C(g, m). The best is the first by truth that is not left out.
    """
    best_first = np.argsort(-truth, kind="stable")
    chances = _pick_chances(scores, counts, k)[:, best_first]
    drawn = counts[:, best_first]
    sure, level = drawn * (chances == 1), drawn * ((chances > 0) & (chances < 1))
    g, m = level.sum(axis=1, keepdims=True), k - sure.sum(axis=1, keepdims=True)
    tried = np.cumsum(level, axis=1)
    left_out = np.exp(log_choose(g - tried, m) - log_choose(g, m)) * (np.cumsum(sure, axis=1) == 0)
    found: Values = np.empty_like(left_out)
    found[:, best_first] = -np.diff(left_out, axis=1, prepend=1.0)
    return found
