"""Statistics of many scores at once, with intervals from resampled architectures and seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zerocost.statistics import ranking as statistics
from zerocost.statistics.ranking import Values


class Pool(NamedTuple):
    """What scores are compared with.

    Attributes:
        truth: the truth of each architecture.
        percent: the same in percent.
        params: parameters of each network; a score may do no more than repeat them.
        flops: FLOPs of each network.
        twins: for each network, the truths of all architectures that build it, of one at least; None where each
            architecture is a network of its own.
    """

    truth: Values
    percent: Values
    params: Values
    flops: Values
    twins: npt.NDArray[np.object_] | None = None


_Statistic = Callable[[Values, Pool], Values]


def statistics_by_name(k: int, *, twins: bool = False) -> dict[str, _Statistic]:
    """The statistics of `evaluate`, by name.

    Args:
        k: how many of the highest scores the last three pick.
        twins: whether there is one over all architectures, each of several twins with the score of their network.

    >>> list(statistics_by_name(10))[-4:]
    ['ndcg_vkdnw', 'precision@10', 'best_rank@10', 'regret@10']
    """
    return {
        "spearman": lambda s, p: statistics.spearman(s, p.truth),
        "kendall": lambda s, p: statistics.kendall(s, p.truth),
        **({"kendall_all": lambda s, p: _kendall_of_all(s, p.twins)} if twins else {}),
        "kendall_top": lambda s, p: statistics.top_kendall(s, p.truth),
        "kendall_bins": lambda s, p: statistics.binned_kendall(s, p.truth, p.flops),
        "partial_params": lambda s, p: statistics.partial_spearman(s, p.truth, p.params),
        "partial_flops": lambda s, p: statistics.partial_spearman(s, p.truth, p.flops),
        "ndcg": lambda s, p: statistics.ndcg(s, p.percent),
        "ndcg_vkdnw": lambda s, p: statistics.ndcg_vkdnw(s, p.percent),
        f"precision@{k}": lambda s, p: statistics.precision_at(s, p.truth, k),
        f"best_rank@{k}": lambda s, p: statistics.best_rank_at(s, p.truth, k),
        f"regret@{k}": lambda s, p: statistics.regret_at(s, p.truth, k),
    }


def _kendall_of_all(scores: Values, twins: npt.NDArray[np.object_]) -> Values:
    """Kendall's τ over all architectures, of which twins have one score."""
    rows = [
        statistics.kendall(np.repeat(row, [len(truths) for truths in group]), np.concatenate(group))
        for row, group in zip(np.atleast_2d(scores), np.atleast_2d(twins), strict=True)
    ]
    return np.reshape(rows, scores.shape[:-1])


LESS_IS_BETTER = ("best_rank", "regret")


def resampled_places(n: int, count: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """The places of `n` architectures drawn with replacement, `count` times, in blocks of at most a million entries."""
    rng = np.random.default_rng(seed)
    block = max(1, 1_000_000 // n)
    for start in range(0, count, block):
        yield rng.integers(n, size=(min(block, count - start), n))


def resample_statistics(
    scores: Values, pool: Pool, wanted: Mapping[str, _Statistic], count: int, seed: int
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
        drawn = Pool(*(None if v is None else v[places] for v in pool))  # type: ignore[arg-type]
        for name, statistic in wanted.items():
            found[name].append(np.array([statistic(one[places], drawn) for one in scores]))
    seeds = np.random.default_rng([seed, 1]).integers(len(scores), size=(len(scores), count))
    each = {name: np.concatenate(blocks, axis=1) for name, blocks in found.items()}
    return {name: np.take_along_axis(values, seeds, axis=0).mean(axis=0) for name, values in each.items()}


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
