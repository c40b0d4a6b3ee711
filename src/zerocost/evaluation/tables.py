"""The tables of an evaluation: all scores, the statistics of each with intervals, and paired differences."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import fmean

import numpy as np
import pandas as pd

from zerocost.base.errors import InputError
from zerocost.combine import Combination
from zerocost.statistics import bootstrap
from zerocost.statistics.ranking import Values
from zerocost.store import Score

BASELINES = ("params", "flops", "depth")
TOGETHER = "all together"
"""The row of the combination of all proxies."""
BOUNDS = ["difference", "low", "high"]
_Scores = Mapping[tuple[str, int], Mapping[str, Score]]
"""The scores of each architecture and seed, by proxy."""


def mean_over_repeats(found: _Scores, seeds: Sequence[int], repeats: int) -> _Scores:
    """The scores of each seed as means over so many initialisations, that seed's and those of no other; or a failure.

    >>> scores = {("a", seed): {"snip": Score(float(seed), None)} for seed in range(4)}
    >>> mean_over_repeats(scores, [0, 1], 2)["a", 1]["snip"].value
    2.5
    """
    if repeats == 1:
        return found
    means: dict[tuple[str, int], dict[str, Score]] = {}
    for text, seed in ((text, seed) for text, first in found for seed in seeds if first == seeds[0]):
        start = seeds[0] + (seed - seeds[0]) * repeats
        each = [found[text, start + i] for i in range(repeats)]
        for name in each[0]:
            values = [scores[name].value for scores in each]
            failed = next((scores[name] for scores in each if scores[name].value is None), None)
            mean = failed or Score(fmean(value for value in values if value is not None), None)
            means.setdefault((text, seed), {})[name] = mean
    return means


def tabulate_scores(
    found: _Scores,
    texts: list[str],
    seeds: Iterable[int],
    names: list[str],
    combination: Combination,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of all scores, with the combination of several proxies, and the table of failures.

    Args:
        found: the scores of each architecture and seed, by proxy.
        texts: the architectures.
        seeds: the seeds of the scores.
        names: the proxies to evaluate; the baselines are added.
        combination: what the proxies are combined by.

    Raises:
        InputError: every score of every proxy failed.
    """
    columns = list(dict.fromkeys([*names, *BASELINES]))
    frames, failures = {}, []
    for seed in seeds:
        rows = {text: {p: found[text, seed][p].value for p in columns} for text in texts}
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
        if len(names) > 1:
            frame.insert(len(names), TOGETHER, combination(frame).replace(-np.inf, np.nan))
        frames[seed] = frame
        failures += [(t, seed, p, r) for t in texts for p in columns if (r := found[t, seed][p].reason) is not None]
    scores = pd.concat(frames, names=["seed", "architecture"])
    failed = pd.DataFrame(failures, columns=["architecture", "seed", "proxy", "reason"])
    if scores[names].isna().all(axis=None):
        raise InputError(f"no network could be scored: {failed['reason'].iloc[0]}")
    return scores, failed


def tabulate_statistics(
    scores: pd.DataFrame,
    truth: pd.Series[float],
    k: int,
    resamples: int,
    seed: int,
    twins: Sequence[Sequence[float]] | None = None,
    workers: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The statistics of each score with their intervals, and the paired differences of each two scores.

    Args:
        scores: rows by seed and architecture, one column a score, NaN where it failed.
        truth: the truth of each architecture; higher is better.
        k: how many of the highest scores `precision@k` and the like pick.
        resamples: number of bootstrap resamples.
        seed: draws the resamples.
        twins: for each network, the truths of all architectures that build it; None where it is always one.
        workers: number of threads that resample, each another score; it changes no result.

    Returns:
        The tables that `Evaluation` calls `table` and `paired`.
    """
    pool, statistics = _pool_of(scores, truth), bootstrap.statistics_by_name(k, twins=twins is not None)
    if twins is not None:
        network = np.repeat(np.arange(len(twins)), list(map(len, twins)))
        pool = pool._replace(twins=bootstrap.Twins(np.concatenate(twins), network))
    seeds = len(scores) // len(truth)
    by_name = {str(name): _without_repeats(scores_by_seed(scores[name], len(truth))) for name in scores}
    resample = partial(bootstrap.resample_statistics, pool=pool, wanted=statistics, count=resamples, seed=seed)
    with ThreadPoolExecutor(workers or 1) as threads:
        draws = dict(zip(by_name, threads.map(resample, by_name.values()), strict=True))
    rows: dict[str, dict[str, float]] = {}
    for name, values in by_name.items():
        row: dict[str, float] = {}
        for statistic, function in statistics.items():
            each = np.concatenate([function(one, pool, np.ones((1, len(truth)))) for one in values])
            mean, spread = each.mean(), np.resize(each, seeds).std(ddof=1) if seeds > 1 else np.nan
            draws[name][statistic] = np.where(np.isnan(mean), np.nan, draws[name][statistic])
            low, high = bootstrap.percentile_interval(draws[name][statistic])
            row |= {statistic: mean, f"{statistic}_low": low, f"{statistic}_high": high, f"{statistic}_sd": spread}
        rows[name] = row | {"failed": int(scores[name].isna().sum())}
    pairs = [
        (s, a, b, rows[a][s] - rows[b][s], *bootstrap.percentile_interval(draws[a][s] - draws[b][s]))
        for s in statistics
        for a, b in itertools.combinations(rows, 2)
    ]
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("score")
    return table, pd.DataFrame(pairs, columns=["statistic", "first", "second", *BOUNDS])


def _pool_of(scores: pd.DataFrame, truth: pd.Series[float]) -> bootstrap.Pool:
    """What the scores are compared with: the truth, also in percent if it can be, and the sizes of the networks."""
    accuracy = np.asarray(truth, np.float64)
    percent = accuracy if accuracy.max() > 1 else 100 * accuracy
    if accuracy.min() < 0:
        percent = np.full_like(accuracy, np.nan)
    params, flops = (scores_by_seed(scores[name], len(truth))[0] for name in ("params", "flops"))
    return bootstrap.Pool(accuracy, percent, params, flops)


def scores_by_seed(scores: pd.Series[float], n: int) -> Values:
    """One column of scores as seeds × `n` architectures, −∞ where one failed."""
    return np.asarray(scores.fillna(-np.inf), np.float64).reshape(-1, n)


def _without_repeats(values: Values) -> Values:
    """The first row alone where all rows are equal, as for a size, which no seed changes."""
    return values[:1] if (values == values[0]).all() else values
