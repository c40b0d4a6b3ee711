"""tune(): the combination of proxies that ranks a few trained architectures best."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from zerocost import combine
from zerocost import data as data_
from zerocost.base.device import check_place
from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import check_space, split_fidelities
from zerocost.base.progress import StageProgress, report_stages
from zerocost.base.version import VERSION
from zerocost.base.whole import check_whole
from zerocost.benchmarks.base import Benchmark
from zerocost.combine import Combination
from zerocost.combine.ranks import METHODS
from zerocost.data.as_batch import first_batch
from zerocost.engine.proxy import Proxy
from zerocost.proxies.registry import portable_proxies
from zerocost.search.fit_space import fit_space
from zerocost.spaces import Fidelity, SearchSpace, distinct
from zerocost.spaces.own_code import own_code
from zerocost.store import Store
from zerocost.tasks import Task
from zerocost.tasks.task import as_task, task_name
from zerocost.tuning.filters import safe_threshold
from zerocost.tuning.find import Recipe, Tuner
from zerocost.tuning.nested import cross_validate, divide_in_parts
from zerocost.tuning.scores import ScoringSetup, Setting, all_settings, score_settings
from zerocost.tuning.trained import Trained, accuracies
from zerocost.tuning.tuned import Tuned, summarise, weights_table

CANDIDATES = (
    "jacob_cov",
    "log_synflow",
    "meco",
    "naswot",
    "snip",
    "zico",
    "az_expressivity",
    "az_trainability",
    "params",
    "flops",
    "depth",
)
"""The proxies that may get a weight by default: different in kind, and cheap."""


def tune(
    trained: Trained,
    space: SearchSpace | str | Callable[..., nn.Module] | None = None,
    data: Any = None,
    *,
    proxies: Combination | Iterable[str | Proxy] | str = CANDIDATES,
    fidelities: Iterable[str | Fidelity] = ("full",),
    batches: Iterable[int] = (64,),
    repeats: Iterable[int] = (1, 3),
    methods: Iterable[str] = ("log_rank", "rank_mean"),
    trials: int = 100,
    folds: int = 5,
    rounds: int = 2,
    n: int = 100,
    pool: int = 0,
    seed: int = 0,
    store: str | Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
    device: str | torch.device | None = None,
    task: Task | str | None = None,
    progress: StageProgress | bool | None = None,
) -> Tuned:
    """Find the combination of proxies, and the way to score, that rank trained architectures best.

    Each trained architecture is scored by each proxy under each setting. Optuna then searches for weights from −1 to 1
    (as in RoBoT, ICLR 2024; 0 leaves a proxy out), the setting and the method, starting from the default combination.
    The search is repeated on parts of the trained architectures and measured on the rest. So `gain` is that of the
    whole procedure, not of the combination that was chosen because it did well. Tune with architectures drawn at
    random: the gain is that on architectures like those tuned with.

    Args:
        trained: a mapping or Series from architecture texts to accuracies (or to what else more of is better), a CSV
            file with columns `arch` and `accuracy` or another metric, a table that `--csv` or `--parquet` of `search`,
            `rank` or `train` wrote, a benchmark, a search's result, or a sequence of runs (`zerocost.train.Run`). Of an
            error or a loss in these less is better.
        space: the architectures' space, its name, or a function of choices; the benchmark's own if None.
        data: anything `zerocost.data.load` takes; the benchmark's own if None.
        proxies: the proxies that may get a weight, besides those of the default combination. `params` is scored as
            well, to compare with.
        fidelities: the fidelities to choose among. The number of networks to score is trained × fidelities × batches ×
            the greatest of `repeats`.
        batches: the batch sizes to choose among.
        repeats: the numbers of initialisations to choose among.
        methods: the methods to choose among, besides that of the default: "log_rank", "rank_mean", "vote".
        trials: number of proposals of Optuna in one tuning.
        folds: number of parts that the trained architectures are divided into.
        rounds: how often they are divided anew.
        n: number of architectures to draw from a benchmark.
        pool: number of architectures to draw at random and score, for the combination to rank among; if 0, it ranks
            among the trained ones.
        seed: seeds every random draw; the first seed of the scores.
        store: a file, or the URL of a database, to keep scores in; none is computed twice.
        workers: number of processes to score in, as in `rank`; it changes no more than the last digits of a score.
        ray: the Ray cluster to score on, as in `rank`; likewise.
        device: where networks are scored.
        task: what the networks' outputs are for; by default inferred from the data.
        progress: whether to show bars; by default where stderr is a terminal. Or a function, called with the stage
            ("score" or "tune"), the number done and the total.

    Raises:
        InputError: fewer than 8 trained architectures, equal accuracies for all, or settings or data that cannot be
            used.

    >>> from zerocost import benchmarks
    >>> small = {"fidelities": ["width=0.1,depth=0.2"], "batches": [4], "repeats": [1]}
    >>> digits = benchmarks.get("digits")
    >>> found = tune(digits, proxies="params,log_synflow", n=8, trials=3, folds=2, rounds=1, **small)
    >>> found.low <= found.gain <= found.high
    True
    """
    if isinstance(trained, Benchmark):
        space, data = space or trained.space, trained.data if data is None else data
    if space is None or data is None:
        raise InputError(f"name the {'space' if space is None else 'data'} that the trained architectures are of")
    _check_at_least(trials=(trials, 2), folds=(folds, 2), rounds=(rounds, 1), n=(n, 1), pool=(pool, 0))
    methods = _check_methods(methods)
    check_place(device, ray)
    source = data_.load(data, task=task_name(task))
    chosen = as_task(task, source, first_batch(source, seed))
    fitted, _ = fit_space(space, source, chosen)
    accuracy = accuracies(trained, fitted, n, seed)
    names = list(portable_proxies(combine.as_proxies(proxies)))
    check_space(fidelities := split_fidelities(fidelities), fitted.name, own_code(fitted))
    default = _default_recipe(requested := all_settings(fidelities, batches, repeats))
    settings = sorted({*requested, default.setting}, key=lambda one: (one.cost, one))
    tuner = Tuner(default, names, trials, methods, seed)
    where = None if device is None else str(device)
    stages = {"score": "scoring", "tune": "tuning"}
    with report_stages(progress, stages) as report, Store(store) as opened:
        wanted = _proxies_to_score(proxies)
        scoring = ScoringSetup(fitted, source, wanted, opened, seed, workers, ray, where, report, chosen)
        frames = score_settings(list(accuracy.index), settings, scoring)
        divisions = list(divide_in_parts(accuracy, folds, rounds, seed))
        found = cross_validate(frames, accuracy, tuner, divisions, lambda done, total: report("tune", done, total))
        best = tuner(frames, accuracy)
        report("tune", len(divisions) + 1, len(divisions) + 1)
        scores = reference = frames[best.setting]
        if pool:
            drawn = [str(arch) for arch in distinct(fitted, pool, np.random.default_rng(seed))]
            reference = score_settings(drawn, [best.setting], scoring)[best.setting]
    fidelity, samples, initialisations = best.setting
    own = combine.as_combination(proxies).files
    combination = Combination(best.weights, best.method, samples, initialisations, fidelity, files=own).against(
        reference
    )
    if found.passes.reliable:
        combination = replace(combination, where=safe_threshold(combination, scores, accuracy))
    used: dict[str, Any] = {
        "zerocost": VERSION,
        "torch": torch.__version__,
        "space": fitted.name,
        "data": data if isinstance(data, str) else type(data).__name__,
        "task": chosen.name,
        "trained": len(accuracy),
        "truth": accuracy.name,
        "proxies": ", ".join(names),
        "default": f"{combine.default}, {default.setting}",
        "settings": "; ".join(map(str, settings)),
        "methods": ", ".join(methods),
        "trials": trials,
        "folds": folds,
        "rounds": rounds,
        "pool": pool,
        "seed": seed,
        "device": str(device or "cpu"),
    }
    return summarise(best, found, combination, weights_table(best, scores, accuracy, found.recipes, names), used)


def _check_at_least(**numbers: tuple[int, int]) -> None:
    """Raise `InputError` for a number below its minimum: each argument is (number, minimum)."""
    for name, (number, least) in numbers.items():
        check_whole(name, number, least)


def _check_methods(methods: Iterable[str]) -> list[str]:
    """The methods as a list; `InputError` for one that there is not."""
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise InputError(f"methods must be a list of {', '.join(METHODS)}, but got {methods!r}")
    given = list(methods)
    for method in given:
        if method not in METHODS:
            raise unknown("method", method, METHODS)
    return given


def _proxies_to_score(proxies: Combination | Iterable[str | Proxy] | str) -> list[str | Proxy]:
    """The proxies that may get a weight, those of the default combination, and `params`."""
    wanted = (combine.as_proxies(proxies), combine.default.proxies, "params")
    return list({name: proxy for each in wanted for name, proxy in portable_proxies(each).items()}.values())


def _default_recipe(settings: list[Setting]) -> Recipe:
    """The default combination under its own setting, where it has one, or the first of those given."""
    own, first = combine.default, settings[0]
    setting = Setting(own.fidelity or first.fidelity, own.batch or first.batch, own.repeats or first.repeats)
    return Recipe({name: own.weights[name] for name in own.proxies}, own.method, setting, float("nan"))
