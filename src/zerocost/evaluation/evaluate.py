"""evaluate(): how well proxies, and the plain sizes they must beat, agree with the trained truth of a benchmark."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from zerocost.base.errors import InputError
from zerocost.base.version import VERSION
from zerocost.benchmarks.base import Benchmark, Query
from zerocost.benchmarks.csv_table import UNTRAINED
from zerocost.benchmarks.sources import get
from zerocost.combine import Combination, as_combination, parts
from zerocost.engine.proxy import Proxy
from zerocost.evaluation import latex
from zerocost.proxies.registry import portable_proxies
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.scoring.score import DEFAULT_PROXIES
from zerocost.spaces import FULL, Fidelity, SearchSpace
from zerocost.statistics import bootstrap
from zerocost.statistics.ranking import Values, regret_at
from zerocost.store import Score as Score_
from zerocost.store import Store

BASELINES = ("params", "flops", "depth")
TOGETHER = "all together"
STAND_IN = "digits:32"
"""What networks made for images that are not at hand are scored on, unless the caller has them."""
BOUNDS = ["difference", "low", "high"]


class Difference(NamedTuple):
    """One score's statistic less another's, and the 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """How well each score agrees with the truth of a benchmark.

    Rows of `table`, and columns of `scores`, are the proxies in the order given, their combination (the log-rank sum,
    unless one was given) under the name "all together" where there are several, and the baselines that were not among
    them.

    Attributes:
        benchmark: the benchmark's name.
        query: what truth means: metric, dataset, epochs and seed of the trainings.
        proxies: the names of the proxies given.
        truth: the truth of each architecture drawn, by its text.
        scores: one row a seed and architecture, one column a score, NaN where it failed.
        table: one row a score. For each statistic its mean over seeds, `_low` and `_high` of its 95 % interval over
            architectures and seeds, and `_sd`, its standard deviation over seeds; `failed`, how many scores failed.
        paired: one row a statistic and pair of scores: the difference of the two means and its 95 % interval, from
            the same resamples for both.
        failures: architecture, seed, proxy and reason of each score that failed.
        settings: everything that the result depends on.
        seconds: time that scoring took; scores out of a cache take none.
    """

    benchmark: str
    query: Query
    proxies: list[str]
    truth: pd.Series[float]
    scores: pd.DataFrame
    table: pd.DataFrame
    paired: pd.DataFrame
    failures: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def statistics(self) -> list[str]:
        """The names of the statistics."""
        return [name for name in map(str, self.table) if f"{name}_low" in self.table]

    @property
    def seeds(self) -> list[int]:
        """The seeds of the scores."""
        return list(self.scores.index.unique("seed"))

    def compare(self, first: str, second: str, statistic: str = "kendall") -> Difference:
        """The first score's statistic less the second's, from `paired`.

        Raises `InputError` for a score or statistic that is not in the table.
        """
        for name, known in ((first, self.table.index), (second, self.table.index), (statistic, self.statistics)):
            if name not in known:
                raise InputError(f"{name!r} is not in the table, which has {', '.join(known)}")
        rows = self.paired[self.paired["statistic"] == statistic].set_index(["first", "second"])[BOUNDS]
        for sign, pair in ((1, (first, second)), (-1, (second, first))):
            if pair in rows.index:
                difference, *bounds = (sign * rows.loc[[pair]].to_numpy()[0]).tolist()
                return Difference(difference, *sorted(bounds))
        raise InputError(f"{first!r} is compared with itself; give two scores")

    @property
    def agreement(self) -> pd.DataFrame:
        """Spearman correlation of each two scores, mean over seeds; a failed score ranks last."""
        each = self.scores.fillna(-np.inf).groupby(level="seed").corr(method="spearman")
        return each.groupby(level=1, sort=False).mean()

    def regrets(self, ks: Iterable[int]) -> pd.DataFrame:
        """Regret of the best among the k highest scores, mean over seeds, one row a k; column "random" is any k."""
        truth, rows = np.asarray(self.truth, np.float64), {}
        columns = {name: arrays(self.scores[name], len(truth)) for name in self.scores}
        columns["random"] = np.zeros((1, len(truth)))
        for k in ks:
            rows[k] = {name: float(regret_at(each, truth, k).mean()) for name, each in columns.items()}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("k")

    def to_csv(self, path: str | Path) -> None:
        """Write `table` as comma-separated values."""
        self.table.to_csv(path)

    def to_latex(self, path: str | Path, statistics: Iterable[str] = latex.SHOWN) -> None:
        """Write a table for a paper: the named statistics with their intervals; needs the LaTeX package booktabs."""
        Path(path).write_text(latex.tabular(self.table, list(statistics)), encoding="utf-8")

    def __repr__(self) -> str:
        return self.table[[*self.statistics, "failed"]].to_string(float_format=lambda v: f"{v:.3f}")


def evaluate(
    benchmark: Benchmark | str,
    proxies: Combination | Iterable[str | Proxy] | str = DEFAULT_PROXIES,
    *,
    data: Any = None,
    n: int = 200,
    seeds: int = 3,
    truth: Query | None = None,
    batch: int | None = None,
    batches: int = 1,
    balanced: bool = False,
    fidelity: Fidelity | str | None = None,
    k: int = 10,
    resamples: int = 1000,
    seed: int = 0,
    device: str | torch.device | None = None,
    workers: int = 1,
    cache: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Judge proxies against the trained truth of a benchmark, beside parameters, FLOPs and depth.

    `n` architectures are drawn at random, each set of twins once, and scored from several seeds; each seed initialises
    the networks and draws the batch anew, as `rank` does with it. A score that failed counts as the worst. The
    statistics are those of `zerocost.statistics.ranking`:

    - `spearman`, `kendall`: rank correlation; `kendall_top`: among the tenth of the highest truth;
    - `kendall_bins`: mean within quarters of similar FLOPs; `partial_params`, `partial_flops`: Spearman with
      parameters or FLOPs taken out;
    - `ndcg`: as in VKDNW, of the tenth of the highest scores, from the truth in percent (a truth that never exceeds 1
      is taken for a fraction);
    - `precision@k`, `best_rank@k`, `regret@k` of the k highest scores; of the last two, less is better.

    Intervals are percentiles over bootstrap resamples of the architectures and of the seeds, both at once. A resample
    takes scores as they are: the log-rank sum is that within all `n`.

    Args:
        benchmark: a `Benchmark`, or a name that `benchmarks.get` finds the truth for.
        proxies: names of the proxies, as a sequence or comma-separated; or a `zerocost.combine.Combination`, or the
            .json file of one.
        data: anything `zerocost.data.draw` takes, of the shape and classes that the benchmark's networks are made for;
            if None, `benchmark.data` or, of a benchmark that comes without, scikit-learn's digits in its place.
        n: number of architectures; all of a smaller benchmark.
        seeds: number of seeds, from `seed` on.
        truth: metric (of which more is better), dataset, epochs and seed of the truth; the benchmark's default if None.
        batch: number of samples drawn; 64 unless the combination says otherwise.
        batches: how many batches are drawn, for proxies that compare batches.
        balanced: draw equally many of each class.
        fidelity: score scaled-down siblings; parameters and FLOPs are then theirs too. Full size unless the
            combination says otherwise.
        k: how many of the highest scores `precision@k` and the like pick.
        resamples: number of bootstrap resamples.
        seed: draws the architectures and the resamples, and is the first seed of the scores.
        device: where networks are scored.
        workers: processes to score in, with one torch thread each; results and their order are the same.
        cache: where to keep scores, a file or the URL of a database (`zerocost.store.Store`), which several processes
            can share; the same scores are not computed again, so a broken run goes on.
        progress: called with the number of networks scored, each seed counting, and the total.

    Raises:
        InputError: settings or data that cannot be used, or no network could be scored by any proxy.
        KeyboardInterrupt: at Ctrl-C; what was scored is in the cache.

    >>> import pathlib, tempfile
    >>> from zerocost import benchmarks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "mine.csv"
    ...     _ = file.write_text("arch,test_accuracy\\n00000000,86.1\\n01111202,91.1\\n22222222,93\\n")
    ...     macro = benchmarks.get("macro", file)
    >>> small = Fidelity(width=0.1, resolution=8)
    >>> found = evaluate(macro, "snip", data="noise:3x32x32:10", seeds=1, batch=4, k=1, resamples=9, fidelity=small)
    >>> float(found.table.loc["params", "spearman"])
    1.0
    """
    for name, number in (("seeds", seeds), ("resamples", resamples), ("workers", workers), ("k", k), ("n", n)):
        if number < 1:
            raise InputError(f"{name} must be at least 1, but got {number}")
    chosen = get(benchmark) if isinstance(benchmark, str) else benchmark
    combination = as_combination(proxies)
    given = portable_proxies(parts(proxies))
    names = list(given)
    batch, fidelity = batch or combination.batch or 64, fidelity or combination.fidelity or FULL
    query = truth or chosen.default
    fidelity = Fidelity.parse(fidelity) if isinstance(fidelity, str) else fidelity
    if UNTRAINED.fullmatch(query.metric) or query.metric.endswith("loss"):
        raise InputError(
            f"of {query.metric} less is better, or nothing is; proxies are judged by what more is better of, such as "
            f"{chosen.default.metric}"
        )
    source = (chosen.data or STAND_IN) if data is None else data
    named = source if isinstance(source, str) else type(source).__name__
    if data is None and chosen.data is None:
        named += f", in place of {query.dataset}"
    known: pd.Series[float] = chosen.truth(**query._asdict())
    drawn = known[architectures(chosen.space, list(known.index), n, seed)]
    if len(drawn) < max(3, k):
        raise InputError(
            f"{len(drawn)} architectures are too few for k={k}; draw at least {max(3, k)}, or take fewer with k="
        )
    each = range(seed, seed + seeds)
    made = draw_job_batches(source, each, batch, batches, balanced, fidelity)
    job = Job(chosen.space, (*given.values(), *BASELINES), made, fidelity, None if device is None else str(device))
    start = time.perf_counter()
    with Store(cache) as store, Scorer(job, store=store, workers=workers) as score:
        found = score(list(drawn.index), progress=progress)
    seconds = time.perf_counter() - start
    scores, failures = tabulated(found, list(drawn.index), each, names, combination)
    table, paired = judged(scores, drawn, k, resamples, seed)
    settings = {
        "zerocost": VERSION,
        "torch": torch.__version__,
        "benchmark": chosen.name,
        **{f"truth, {field}": value for field, value in query._asdict().items()},
        "architectures": f"{len(drawn):,} of {len(known):,}",
        "proxies": ", ".join(names),
        "all together": str(combination),
        "seeds": ", ".join(map(str, each)),
        "data": named,
        "batch": fidelity.batch or batch,
        "batches": batches,
        "balanced": balanced,
        "fidelity": str(fidelity),
        "k": k,
        "resamples": resamples,
        "device": str(device or "cpu"),
    }
    return Evaluation(chosen.name, query, names, drawn, scores, table, paired, failures, settings, seconds)


def architectures(space: SearchSpace, texts: list[str], n: int, seed: int) -> list[str]:
    """`n` of the texts drawn at random, one of each set of twins; all there are, when there are fewer."""
    found: dict[str, str] = {}
    for place in np.random.default_rng(seed).permutation(len(texts)):
        found.setdefault(space.canonical(space.parse(texts[place])), texts[place])
        if len(found) == n:
            break
    return list(found.values())


def tabulated(
    found: Mapping[tuple[str, int], Mapping[str, Score_]],
    texts: list[str],
    seeds: Iterable[int],
    names: list[str],
    combination: Combination,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All scores, what the combination makes of them where they are several, and all failures with their reasons."""
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
    lost = pd.DataFrame(failures, columns=["architecture", "seed", "proxy", "reason"])
    if scores[names].isna().all(axis=None):
        raise InputError(f"no network could be scored: {lost['reason'].iloc[0]}")
    return scores, lost


def judged(
    scores: pd.DataFrame, truth: pd.Series[float], k: int, count: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of statistics and that of paired differences."""
    accuracy = np.asarray(truth, np.float64)
    sizes = (arrays(scores[name], len(truth))[0] for name in ("params", "flops"))
    percent = accuracy if accuracy.max() > 1 else 100 * accuracy
    pool, wanted = bootstrap.Pool(accuracy, percent, *sizes), bootstrap.named(k)
    seeds = len(scores) // len(truth)
    rows: dict[str, dict[str, float]] = {}
    draws: dict[str, dict[str, Values]] = {}
    for name in map(str, scores):
        values = distinct(arrays(scores[name], len(truth)))
        draws[name] = bootstrap.draws(values, pool, wanted, count, seed)
        row: dict[str, float] = {}
        for statistic, function in wanted.items():
            each = np.array([function(one, pool) for one in values])
            mean, spread = each.mean(), np.resize(each, seeds).std(ddof=1) if seeds > 1 else np.nan
            draws[name][statistic] = np.where(np.isnan(mean), np.nan, draws[name][statistic])
            low, high = bootstrap.interval(draws[name][statistic])
            row |= {statistic: mean, f"{statistic}_low": low, f"{statistic}_high": high, f"{statistic}_sd": spread}
        rows[name] = row | {"failed": int(scores[name].isna().sum())}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("score")
    pairs = [
        (s, a, b, rows[a][s] - rows[b][s], *bootstrap.interval(draws[a][s] - draws[b][s]))
        for s in wanted
        for a, b in itertools.combinations(rows, 2)
    ]
    return table, pd.DataFrame(pairs, columns=["statistic", "first", "second", *BOUNDS])


def arrays(scores: pd.Series[float], n: int) -> Values:
    """One column of scores as seeds × architectures, a failed one −∞."""
    return np.asarray(scores.fillna(-np.inf), np.float64).reshape(-1, n)


def distinct(values: Values) -> Values:
    """The first row alone where all are equal, as those of a size are whatever the seed."""
    return values[:1] if (values == values[0]).all() else values
