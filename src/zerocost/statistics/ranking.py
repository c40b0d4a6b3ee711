"""How well scores follow the truth: rank correlations, and what picking by score would find.

Each function takes arrays whose last axis is the architectures; leading axes (seeds, resamples) broadcast, and the
result has their shape. Higher scores and higher truths are better. A failed score is −∞, so that it ranks last. Where a
choice among equal values decides, the result is the mean over all ways to choose, so that order never matters.

`counted` has the same in many resamples at once; `evaluate` computes with that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
TINY = 1e-12


def _ranks(values: Values, method: str = "average") -> Values:
    """Ranks along the last axis, 1 for the lowest. SciPy's statistics take as long to import as the whole package."""
    from scipy.stats import rankdata

    found: Values = rankdata(values, method=method, axis=-1)
    return found


def _pearson(x: Values, y: Values) -> Values:
    """Product-moment correlation; NaN where one side is constant."""
    x, y = (v - v.mean(axis=-1, keepdims=True) for v in (x, y))
    scale = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return safe_quotient((x * y).sum(axis=-1), scale)


def safe_quotient(above: Values, below: Values) -> Values:
    """The quotient; NaN where the divisor vanishes."""
    result: Values = np.where(below > TINY, above / np.where(below > TINY, below, 1.0), np.nan)
    return result


def spearman(scores: Values, truth: Values) -> Values:
    r"""Spearman's :math:`\rho`: the Pearson correlation of ranks; equal values share their mean rank.

    >>> float(spearman(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])))
    0.8
    """
    return _pearson(_ranks(scores), _ranks(truth))


def kendall(scores: Values, truth: Values) -> Values:
    r"""Kendall's :math:`\tau_b = (C - D) / \sqrt{(P - T_s)(P - T_t)}`.

    Of the :math:`P` pairs, :math:`C` are in the same order by score and truth, :math:`D` in opposite order;
    :math:`T_s` and :math:`T_t` are tied in score and in truth. NaN where one side is constant.

    >>> round(float(kendall(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0]))), 3)
    0.667
    """
    scores, truth = np.broadcast_arrays(scores, truth)
    order = np.lexsort((truth, scores), axis=-1)
    s, t = (np.take_along_axis(v, order, axis=-1) for v in (scores, truth))
    same_score = s[..., 1:] == s[..., :-1]
    both = _count_tied_pairs(same_score & (t[..., 1:] == t[..., :-1]))
    by_truth = np.sort(truth, axis=-1)
    score_ties, truth_ties = _count_tied_pairs(same_score), _count_tied_pairs(by_truth[..., 1:] == by_truth[..., :-1])
    pairs = s.shape[-1] * (s.shape[-1] - 1) / 2
    concordant_less_discordant = pairs - score_ties - truth_ties + both - 2 * _count_inversions(t)
    return safe_quotient(concordant_less_discordant, np.sqrt((pairs - score_ties) * (pairs - truth_ties)))


def _count_tied_pairs(same: npt.NDArray[np.bool_]) -> Values:
    """Number of pairs of equal values, given which neighbours are equal once sorted."""
    place = np.arange(1, same.shape[-1] + 1)
    start = np.maximum.accumulate(np.where(same, 0, place), axis=-1)
    result: Values = (place - start).sum(axis=-1).astype(float)
    return result


def _count_inversions(values: Values) -> Values:
    """Number of pairs of which the earlier is the greater, counted bit by bit of the ranks, highest bit first.

    Entries that share the higher bits form a block, half of whose ranks have the next bit set; a pair is inverted there
    when the one with the bit comes first.

    >>> float(_count_inversions(np.array([3.0, 1.0, 2.0, 2.0])))
    3.0
    """
    *lead, n = values.shape
    order = np.argsort(values, axis=-1, kind="stable")
    ranks = np.empty(order.shape, dtype=np.int32)
    np.put_along_axis(ranks, order, np.arange(n, dtype=np.int32), axis=-1)
    size = 1 << max(n - 1, 0).bit_length()
    blocks = np.broadcast_to(np.arange(size, dtype=np.int32), (*lead, size)).copy()
    blocks[..., :n] = ranks
    count = np.zeros(lead)
    while size > 1:
        half = size // 2
        blocks = blocks.reshape(*lead, -1, size)
        high = (blocks & half) > 0
        before = np.cumsum(high, axis=-1, dtype=np.int32)
        count += np.where(high, 0, before).sum(axis=(-2, -1))
        halves = [blocks[which].reshape(*blocks.shape[:-1], half) for which in (~high, high)]
        blocks, size = np.stack(halves, axis=-2), half
    return count


def top_kendall(scores: Values, truth: Values, share: float = 0.1) -> Values:
    r"""Kendall's :math:`\tau_b` among the :math:`\lceil share \cdot n \rceil` architectures of the highest truth.

    Of architectures with the truth of the last one in, those given first are in. NaN for fewer than two.

    >>> scores, truth = np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])
    >>> float(top_kendall(scores, truth, share=0.5))
    -1.0
    """
    best = np.argsort(-truth, axis=-1, kind="stable")[..., : int(np.ceil(share * truth.shape[-1]))]
    return kendall(_take_places(scores, best), _take_places(truth, best))


def _take_places(values: Values, places: npt.NDArray[np.intp]) -> Values:
    """The values at the places, along the last axis, leading axes broadcast."""
    lead = np.broadcast_shapes(values.shape[:-1], places.shape[:-1])
    result: Values = np.take_along_axis(
        np.broadcast_to(values, (*lead, values.shape[-1])), np.broadcast_to(places, (*lead, places.shape[-1])), axis=-1
    )
    return result


def binned_kendall(scores: Values, truth: Values, size: Values, bins: int = 4) -> Values:
    r"""Mean of Kendall's :math:`\tau_b` within `bins` bins of equally many architectures of similar `size`.

    What is left of a correlation once large is no longer compared with small. Of equal sizes at an edge, those given
    first are in the lower bin. A bin in which score or truth is constant does not count.

    >>> size = np.array([1.0, 1.0, 2.0, 2.0])
    >>> float(binned_kendall(size, np.array([1.0, 2.0, 3.0, 4.0]), size, bins=2))
    nan
    >>> float(binned_kendall(np.array([2.0, 1.0, 4.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0]), size, bins=2))
    -1.0
    """
    parts = np.array_split(np.argsort(size, axis=-1, kind="stable"), bins, axis=-1)
    found = np.stack([kendall(_take_places(scores, part), _take_places(truth, part)) for part in parts])
    return safe_quotient(np.nansum(found, axis=0), np.isfinite(found).sum(axis=0).astype(float))


def partial_spearman(scores: Values, truth: Values, given: Values) -> Values:
    r"""Spearman correlation with what both owe to a third quantity :math:`z` taken out.

    :math:`(\rho_{st} - \rho_{sz}\rho_{tz}) / \sqrt{(1 - \rho_{sz}^2)(1 - \rho_{tz}^2)}`. NaN where the score or the
    truth is constant or has the order of :math:`z`.

    >>> truth, size = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 2.0, 2.0])
    >>> round(float(partial_spearman(np.array([1.0, 2.0, 3.0, 4.0]), truth, size)), 3)
    1.0
    >>> round(float(partial_spearman(np.array([2.0, 1.0, 4.0, 3.0]), truth, size)), 3)
    -1.0
    >>> float(partial_spearman(size, truth, size))
    nan
    """
    s, t, z = (_ranks(v) for v in (scores, truth, given))
    st, sz, tz = _pearson(s, t), _pearson(s, z), _pearson(t, z)
    return safe_quotient(st - sz * tz, np.sqrt(np.clip((1 - sz**2) * (1 - tz**2), 0, None)))


def precision_at(scores: Values, truth: Values, k: int) -> Values:
    """Share of the `k` highest scores that are among the `k` highest truths. Random scores have k / n.

    >>> float(precision_at(np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 1.0, 2.0, 3.0]), k=2))
    0.5
    >>> float(precision_at(np.zeros(4), np.array([4.0, 1.0, 2.0, 3.0]), k=2))
    0.5
    """
    result: Values = (_pick_chances(scores, k) * _pick_chances(truth, k)).sum(axis=-1) / k
    return result


def _pick_chances(values: Values, k: int) -> Values:
    """The chance of each to be among the `k` highest values, when equal ones are chosen at random.

    >>> _pick_chances(np.array([3.0, 1.0, 1.0]), k=2)
    array([1. , 0.5, 0.5])
    """
    last = np.partition(values, -k, axis=-1)[..., -k, None]
    above, level = values > last, values == last
    left = k - above.sum(axis=-1, keepdims=True)
    result: Values = above + level * left / level.sum(axis=-1, keepdims=True)
    return result


def best_rank_at(scores: Values, truth: Values, k: int) -> Values:
    """The rank by truth, 1 for the best, of the best architecture among the `k` highest scores.

    >>> float(best_rank_at(np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 1.0, 2.0, 3.0]), k=2))
    2.0
    """
    chance, best_first = _chance_of_best(scores, truth, k)
    result: Values = (chance * _take_places(_ranks(-truth, "min"), best_first)).sum(axis=-1)
    return result


def regret_at(scores: Values, truth: Values, k: int) -> Values:
    """How far the best architecture among the `k` highest scores stays below the best of all, in the truth's unit.

    >>> float(regret_at(np.array([1.0, 2.0, 3.0, 4.0]), np.array([94.0, 91.0, 92.0, 93.0]), k=2))
    1.0
    >>> float(regret_at(np.zeros(2), np.array([90.0, 92.0]), k=1))
    1.0
    """
    chance, best_first = _chance_of_best(scores, truth, k)
    found = (chance * _take_places(truth, best_first)).sum(axis=-1)
    result: Values = np.maximum(truth.max(axis=-1) - found, 0.0)
    return result


def _chance_of_best(scores: Values, truth: Values, k: int) -> tuple[Values, npt.NDArray[np.intp]]:
    """The chance of each architecture to be the best by truth among the `k` highest scores, and the order they are in.

    Architectures are ordered by truth, best first. Those above the k-th score are picked; of the g that have it, m are
    drawn at random, so t of them are all left out with chance C(g − t, m) / C(g, m).
    """
    best_first = np.argsort(-truth, axis=-1, kind="stable")
    s = _take_places(scores, best_first)
    last = np.partition(s, -k, axis=-1)[..., -k, None]
    sure, level = s > last, s == last
    g, m = level.sum(axis=-1, keepdims=True), k - sure.sum(axis=-1, keepdims=True)
    t = np.cumsum(level, axis=-1) - level
    none_better: npt.NDArray[np.bool_] = np.cumsum(sure, axis=-1) - sure == 0
    alone = np.where(sure, log_choose(g - t, m), log_choose(g - t - 1, m - 1))
    chance = np.where(none_better & (sure | level), np.exp(alone - log_choose(g, m)), 0.0)
    return chance, best_first


def log_choose(n: npt.NDArray[np.intp], k: npt.NDArray[np.intp]) -> Values:
    """Logarithm of the binomial coefficient; −∞ where it is 0."""
    from scipy.special import gammaln  # takes half a second to import

    possible = (n >= k) & (k >= 0)
    rest = np.where(possible, n - k, 0)
    logarithm = gammaln(np.abs(n) + 1.0) - gammaln(np.abs(k) + 1.0) - gammaln(rest + 1.0)
    result: Values = np.where(possible, logarithm, -np.inf)
    return result


def ndcg(scores: Values, truth: Values, share: float = 0.1) -> Values:
    r"""Normalised discounted cumulative gain with linear gain (Järvelin & Kekäläinen, 2002), cut off at a share.

    :math:`\frac1Z \sum_{j \le P} a_j / \log_2(1 + j)` with :math:`a_j \ge 0` the truth of the j-th highest score;
    :math:`Z` is the sum in the order of the truth, and :math:`P = \lceil share \cdot n \rceil`. Equal scores share the
    mean of their discounts.

    >>> round(float(ndcg(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]), share=1)), 3)
    0.79
    """
    return _discounted_gain(scores, truth, truth, share)


def ndcg_vkdnw(scores: Values, truth: Values, share: float = 0.1) -> Values:
    r"""`ndcg` with the exponential gain that VKDNW (Týbl & Neumann, CVPR 2025) defines for architectures.

    In place of :math:`a_j` stands :math:`2^{a_j} - 1`, where :math:`a_j` is an accuracy in percent. One percent of
    accuracy less halves the gain, so what counts is where the few best are.

    The example of the paper's figure, where the best architecture is third:

    >>> accuracy = np.array([80.0, 70, 100, 90, 60, 50, 40, 30, 20, 10])
    >>> round(float(ndcg_vkdnw(-np.arange(10.0), accuracy, share=1)), 3)
    0.5
    """
    best = truth.max(axis=-1, keepdims=True)
    return _discounted_gain(scores, truth, np.exp2(truth - best) - np.exp2(-best), share)


def _discounted_gain(scores: Values, truth: Values, gain: Values, share: float) -> Values:
    """The discounted gain in the order of the scores, divided by that in the order of the truth."""
    n = truth.shape[-1]
    discounts = 1 / np.log2(np.arange(2, n + 2))
    discounts[int(np.ceil(share * n)) :] = 0
    sums = np.concatenate([[0.0], np.cumsum(discounts)])
    first, last = (_ranks(-scores, method).astype(int) for method in ("min", "max"))
    discount = (sums[last] - sums[first - 1]) / (last - first + 1)
    ideal = (-np.sort(-gain, axis=-1) * discounts).sum(axis=-1)
    return safe_quotient((gain * discount).sum(axis=-1), ideal)
