"""evaluate(): how well proxies, and the sizes they must beat, agree with the trained truth of a benchmark."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from zerocost.base.errors import InputError
from zerocost.base.fidelity import as_fidelity, check_space, check_used
from zerocost.base.progress import StepProgress, report_steps
from zerocost.base.seeding import check_seed
from zerocost.base.version import VERSION
from zerocost.base.whole import check_whole
from zerocost.benchmarks.base import Benchmark, Query
from zerocost.benchmarks.csv_table import UNTRAINED
from zerocost.benchmarks.sources import get
from zerocost.combine import Combination, as_combination, as_proxies, for_inputs, reduced
from zerocost.data.dataset import load_held
from zerocost.engine.proxy import Proxy
from zerocost.evaluation.evaluation import Evaluation
from zerocost.evaluation.tables import BASELINES, mean_over_repeats, tabulate_scores, tabulate_statistics
from zerocost.proxies.registry import portable_proxies
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.scoring.score import DEFAULT_PROXIES
from zerocost.spaces import FULL, Fidelity, SearchSpace
from zerocost.spaces.own_code import own_code
from zerocost.store import Store
from zerocost.tasks import Task
from zerocost.tasks.task import as_task, task_name

_IMAGES = "digits:32"
_STAND_INS = {
    "bert": "tokens:32:30522:2",
    "gpt": "tokens:32:50254:next",
    "pit": "noise:3x224x224:100",
    "vit": "noise:3x224x224:100",
}
"""By benchmark, what networks are scored on where neither the caller nor the benchmark has data; else `_IMAGES`."""
_RESAMPLES, _RESAMPLES_OF_MANY, _MOST_RESAMPLES = 1_000, 200, 1_000_000
"""Bootstrap resamples by default, those of more than 2,000 networks, and the most there may be."""
_MANY = 1_000
"""So many networks may be asked for of a benchmark that has fewer, which is then used whole."""


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
    k: int | None = None,
    resamples: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    task: Task | str | None = None,
    workers: int | None = None,
    ray: str | None = None,
    cache: str | Path | None = None,
    progress: StepProgress | bool | None = None,
) -> Evaluation:
    """Compare proxies with the trained truth of a benchmark, beside parameters, FLOPs and depth.

    Architectures are drawn at random until they are of `n` different networks, and each network is scored with several
    seeds, twins once. Each seed initialises the networks and draws the batch anew, as in `rank`. A score that failed
    counts as the worst. The statistics are over the different networks, with the truth of the first twin drawn of each,
    and are those of `zerocost.statistics.ranking`:

    - `spearman`, `kendall`: rank correlation; `kendall_top`: the same among the tenth of highest truth;
    - `kendall_all`, where twins were drawn: Kendall's τ over all architectures drawn, as papers count, each with its
      own truth and the score of its network;
    - `kendall_bins`: mean within quarters of similar FLOPs; `partial_params`, `partial_flops`: Spearman correlation
      with parameters or FLOPs taken out;
    - `ndcg`, of the tenth of highest scores, with linear gain; `ndcg_vkdnw`, the same with the exponential gain of
      VKDNW, from the truth in percent (a truth that never exceeds 1 is taken for a fraction): one percent less halves
      it; neither exists for errors and losses, and where the truth is negative;
    - `precision@k`, `best_rank@k`, `regret@k` of the k highest scores; less is better for the last two.

    Intervals are percentiles over bootstrap resamples of architectures and seeds together. Scores are not computed
    anew in a resample: the ranks in the log-rank sum are those among all `n`.

    Args:
        benchmark: a `Benchmark`, or a name that `benchmarks.get` finds the truth for.
        proxies: names of the proxies, as a sequence or comma-separated; or a `zerocost.combine.Combination`, or its
            .json file. "default" is that of `rank` for the data.
        data: anything `zerocost.data.draw` takes, with the shape and classes that the benchmark's networks are made
            for; if None, `benchmark.data`, or for a benchmark that has none scikit-learn's digits, random
            tokens (`gpt`, `bert`) or noise (`vit`, `pit`).
        n: number of different networks; a benchmark that has fewer is used whole, unless it has fewer than `n` > 1,000.
        seeds: number of seeds, from `seed` on.
        truth: dataset, metric, epochs and seed of the truth; the benchmark's default if None. Of a metric in
            its `less_is_better` the statistics agree with the truth the other way round.
        batch: number of samples drawn; 64 unless the combination has its own.
        batches: number of batches drawn, for proxies that compare batches.
        balanced: draw equally many samples of each class.
        fidelity: score scaled-down networks; parameters and FLOPs are then theirs too. Full size unless the
            combination has its own.
        k: number of highest scores that `precision@k` and the like pick; by default 10, and at most half of them.
        resamples: number of bootstrap resamples; by default 1,000, and 200 for more than 2,000 networks, whose
            intervals are narrow.
        seed: draws the architectures and the resamples, and is the first seed of the scores.
        device: where networks are scored.
        task: what the networks' outputs are for; by default inferred from the data.
        workers: number of processes to score in, as in `rank`; it changes no more than the last digits of a score.
        ray: the Ray cluster to score on, as in `rank`; likewise.
        cache: a file or the URL of a database to keep scores in (`zerocost.store.Store`). Several processes can share
            it. Scores in it are not computed again, so an interrupted evaluation goes on where it stopped.
        progress: whether to show a bar; by default where stderr is a terminal. Or a function, called with the number of
            networks scored so far, counted once for each seed, and the total.

    Raises:
        InputError: settings or data that cannot be used, or no proxy could score any network.
        KeyboardInterrupt: at Ctrl-C; scores computed so far are in the cache.

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
    check_seed(seed)
    _check_positive(n=n, seeds=seeds, batches=batches, batch=batch, k=k, resamples=resamples)
    if resamples is not None and resamples > _MOST_RESAMPLES:
        raise InputError(f"{resamples:,} resamples are too many, at most {_MOST_RESAMPLES:,} are possible")
    table = get(benchmark) if isinstance(benchmark, str) else benchmark
    if not isinstance(table, Benchmark):
        raise InputError(f"benchmark must be a name or what zc.benchmarks.get returns, but got {table!r}")
    if not isinstance(truth, Query | None):
        raise InputError(f"truth must be a zc.benchmarks.Query, such as {table.default!r}, but got {truth!r}")
    combination = as_combination(proxies)
    scale = as_fidelity(fidelity or combination.fidelity or FULL)
    check_used("batch", batch, [scale])
    check_space(fidelity, table.space.name, own_code(table.space))
    samples = batch or combination.batch or 64
    query = truth or table.default
    known = _known_truth(table, query)
    if n > max(_MANY, len(known)):
        raise InputError(f"{n:,} networks are too many: {table.name} has {len(known):,} architectures; ask for fewer")
    networks = _draw_networks(table.space, list(known.index), n, seed)
    drawn = known[list(networks)]
    k = k or max(1, min(10, len(drawn) // 2))
    if len(drawn) < max(3, k):
        raise InputError(
            f"{len(drawn)} architectures are too few for k={k}; draw at least {max(3, k)}, or choose a smaller k"
        )
    architectures = sum(map(len, networks.values()))
    source, source_name = _scoring_data(table, query, data, task_name(task))
    each, repeats = range(seed, seed + seeds), scale.repeats or 1
    batches_by_seed = draw_job_batches(source, range(seed, seed + seeds * repeats), samples, batches, balanced, scale)
    suited = reduced(for_inputs(proxies, batches_by_seed[seed][0].inputs), fidelity)
    combination, given = as_combination(suited), portable_proxies(as_proxies(suited))
    where = None if device is None else str(device)
    chosen = as_task(task, source, batches_by_seed[seed][0])
    job = Job(table.space, (*given.values(), *BASELINES), batches_by_seed, scale, where, chosen)
    start = time.perf_counter()
    with (
        report_steps(progress, "scoring") as report,
        Store(cache) as store,
        Scorer(job, store=store, workers=workers, ray=ray) as score,
    ):
        found = mean_over_repeats(score(list(drawn.index), progress=report), each, repeats)
    seconds = time.perf_counter() - start
    scores, failures = tabulate_scores(found, list(drawn.index), each, list(given), combination)
    higher_is_better = query.metric not in table.less_is_better
    rising = known if higher_is_better else -known
    twins = [rising[texts].tolist() for texts in networks.values()] if architectures > len(drawn) else None
    resamples = resamples or (_RESAMPLES if len(drawn) <= 2_000 else _RESAMPLES_OF_MANY)
    statistics, paired = tabulate_statistics(scores, rising[drawn.index], k, resamples, seed, twins, workers)
    settings = {
        "zerocost": VERSION,
        "torch": torch.__version__,
        "benchmark": table.name,
        **{f"truth, {field}": value for field, value in query._asdict().items()},
        "networks": f"{len(drawn):,}",
        "architectures": f"{architectures:,} of {len(known):,}",
        "proxies": ", ".join(given),
        "all together": str(combination),
        **({"in place of": combination.made["in_place_of"]} if "in_place_of" in combination.made else {}),
        "seeds": ", ".join(map(str, each)),
        "data": source_name,
        "batch": scale.batch or samples,
        "batches": batches,
        "balanced": balanced,
        "task": chosen.name,
        "fidelity": str(scale),
        "k": k,
        "resamples": resamples,
        "device": str(device or "cpu"),
    }
    return Evaluation(
        *(table.name, query, list(given), drawn, scores, statistics, paired, failures, settings, seconds),
        architectures=architectures,
        higher_is_better=higher_is_better,
    )


def _check_positive(**numbers: int | None) -> None:
    """Raise `InputError` for a number below 1, with its name."""
    for name, number in numbers.items():
        if number is not None:
            check_whole(name, number)


def _known_truth(benchmark: Benchmark, query: Query) -> pd.Series[float]:
    """The truth of every architecture of the benchmark; `InputError` for what training does not change."""
    if UNTRAINED.fullmatch(query.metric):
        raise InputError(
            f"proxies are compared with a metric of trained networks, such as {benchmark.default.metric}, but got "
            f"{query.metric}"
        )
    known: pd.Series[float] = benchmark.truth(**query._asdict())
    return known


def draw_architectures(space: SearchSpace, texts: list[str], n: int, seed: int) -> list[str]:
    """`n` of the texts drawn at random, one of each set of twins; all there are, when there are fewer."""
    return list(_draw_networks(space, texts, n, seed))


def _draw_networks(space: SearchSpace, texts: list[str], n: int, seed: int) -> dict[str, list[str]]:
    """Texts drawn at random until they are of `n` networks, or of all: by the first text, all drawn of one network."""
    found: dict[str, list[str]] = {}
    for place in np.random.default_rng(seed).permutation(len(texts)):
        found.setdefault(space.canonical(space.parse(texts[place])), []).append(texts[place])
        if len(found) == n:
            break
    return {twins[0]: twins for twins in found.values()}


def _scoring_data(benchmark: Benchmark, query: Query, data: Any, task: str | None) -> tuple[Any, str]:
    """The data to score on, read for a task, and its name: the caller's, the benchmark's, or what stands in for it."""
    source = (benchmark.data or _STAND_INS.get(benchmark.name, _IMAGES)) if data is None else data
    name = source if isinstance(source, str) else type(source).__name__
    if data is None and benchmark.data is None:
        name += f", in place of {query.dataset}"
    return load_held(source, task), name
