"""Statistics of many scores at once, with intervals from resampled architectures and seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zerocost.statistics import counted
from zerocost.statistics.ranking import Values


class Twins(NamedTuple):
    """All architectures, where several may build one network.

    Attributes:
        truth: the truth of each architecture.
        network: the place of its network.
    """

    truth: Values
    network: npt.NDArray[np.intp]


class Pool(NamedTuple):
    """What scores are compared with.

    Attributes:
        truth: the truth of each network.
        percent: the same in percent.
        params: parameters of each network; a score may do no more than repeat them.
        flops: FLOPs of each network.
        twins: all architectures that build them; None where each network is built by one.
    """

    truth: Values
    percent: Values
    params: Values
    flops: Values
    twins: Twins | None = None


Statistic = Callable[[Values, Pool, Values], Values]
"""Of a score of each network, what it is compared with, and how often each was drawn, resamples × networks."""


def statistics_by_name(k: int, *, twins: bool = False) -> dict[str, Statistic]:
    """The statistics of `evaluate`, by name.

    Args:
        k: how many of the highest scores the last three pick.
        twins: whether there is one over all architectures, each of several twins with the score of their network.

    >>> list(statistics_by_name(10))[-4:]
    ['ndcg_vkdnw', 'precision@10', 'best_rank@10', 'regret@10']
    """
    return {
        "spearman": lambda s, p, n: counted.spearman(s, p.truth, n),
        "kendall": lambda s, p, n: counted.kendall(s, p.truth, n),
        **({"kendall_all": lambda s, p, n: _kendall_of_all(s, p.twins, n)} if twins else {}),
        "kendall_top": lambda s, p, n: counted.top_kendall(s, p.truth, n),
        "kendall_bins": lambda s, p, n: counted.binned_kendall(s, p.truth, p.flops, n),
        "partial_params": lambda s, p, n: counted.partial_spearman(s, p.truth, p.params, n),
        "partial_flops": lambda s, p, n: counted.partial_spearman(s, p.truth, p.flops, n),
        "ndcg": lambda s, p, n: counted.ndcg(s, p.percent, n),
        "ndcg_vkdnw": lambda s, p, n: counted.ndcg_vkdnw(s, p.percent, n),
        f"precision@{k}": lambda s, p, n: counted.precision_at(s, p.truth, n, k),
        f"best_rank@{k}": lambda s, p, n: counted.best_rank_at(s, p.truth, n, k),
        f"regret@{k}": lambda s, p, n: counted.regret_at(s, p.truth, n, k),
    }


def _kendall_of_all(scores: Values, twins: Twins, counts: Values) -> Values:
    """Kendall's τ over all architectures, of which twins have one score."""
    return counted.kendall(scores[twins.network], twins.truth, counts[:, twins.network])


LESS_IS_BETTER = ("best_rank", "regret")


def resampled_places(n: int, count: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """The places of `n` architectures drawn with replacement, `count` times, in blocks of half a million or of 16."""
    rng = np.random.default_rng(seed)
    block = max(16, 500_000 // n)  # what is sorted and compared once for each block is worth it
    for start in range(0, count, block):
        yield rng.integers(n, size=(min(block, count - start), n))


def resample_statistics(
    scores: Values, pool: Pool, wanted: Mapping[str, Statistic], count: int, seed: int
) -> dict[str, Values]:
    """Each statistic, mean over seeds, in `count` resamples of the architectures and of the seeds.

    The same `seed` draws the same resamples, so that two scores can be compared in pairs.

    Args:
        scores: seeds × architectures; a single row where all seeds give the same.
        pool: the truth and the sizes of the architectures.
        wanted: the statistics, by name.
        count: number of resamples.
        seed: draws the resamples.

    Returns:
        `count` values of each statistic.

    >>> pool = Pool(*np.arange(40.0).reshape(4, 10))
    >>> wanted = {"spearman": statistics_by_name(3)["spearman"]}
    >>> resample_statistics(np.arange(10.0)[None], pool, wanted, 4, 0)["spearman"].round(3)
    array([1., 1., 1., 1.])
    """
    found: dict[str, list[Values]] = {name: [] for name in wanted}
    for places in resampled_places(scores.shape[-1], count, seed):
        counts = _count(places)
        for name, statistic in wanted.items():
            found[name].append(np.array([statistic(one, pool, counts) for one in scores]))
    seeds = np.random.default_rng([seed, 1]).integers(len(scores), size=(len(scores), count))
    each = {name: np.concatenate(blocks, axis=1) for name, blocks in found.items()}
    return {name: np.take_along_axis(values, seeds, axis=0).mean(axis=0) for name, values in each.items()}


def _count(places: npt.NDArray[np.int64]) -> Values:
    """How often each place was drawn in each resample."""
    resamples, n = places.shape
    found = np.bincount((places + n * np.arange(resamples)[:, None]).ravel(), minlength=resamples * n)
    return found.reshape(resamples, n).astype(np.float64)


def percentile_interval(values: Values) -> tuple[float, float]:
    """The 2.5th and 97.5th percentiles over the resamples in which the statistic exists; NaN where it never does.

    >>> percentile_interval(np.arange(101.0))
    (2.5, 97.5)
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)
