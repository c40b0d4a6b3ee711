"""tune(): a few trained architectures make the combination of proxies that ranks the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from zerocost import combine
from zerocost import data as data_
from zerocost.base.device import check_device
from zerocost.base.errors import InputError, unknown
from zerocost.base.version import VERSION
from zerocost.benchmarks.base import Benchmark
from zerocost.combine import Combination
from zerocost.combine.ranks import METHODS
from zerocost.engine.proxy import Proxy
from zerocost.proxies.registry import portable_proxies
from zerocost.search.fit_space import fit_space
from zerocost.spaces import Fidelity, SearchSpace, distinct
from zerocost.store import Store
from zerocost.tuning.filters import threshold
from zerocost.tuning.find import Found, agreement, find
from zerocost.tuning.nested import chosen, difference, mean, tabulated, validated
from zerocost.tuning.scores import Setting, scored, settings
from zerocost.tuning.trained import Trained, accuracies

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
"""Proxies that a tuning chooses among unless told otherwise: different in kind, and cheap."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Tuned:
    """What a tuning found, and what it is worth on architectures that it has not seen.

    Attributes:
        combination: the weights and settings found, which `rank`, `search` and `evaluate` take. It ranks among the
            trained architectures, or the pool that was asked for.
        gain, low, high: Kendall's τ of the whole tuning on held-out architectures less that of the default
            combination on the same ones, and its 95 % interval.
        kendall: the first of these two, a mean over held-out parts; `baseline` and `params` are the default
            combination's and that of the number of parameters.
        tuned_kendall: Kendall's τ on the architectures that were tuned on; optimistic, and no measure of anything.
        table: one row a proxy: its `weight`; `alone`, Kendall's τ of the score itself; `without`, what τ on all
            trained architectures loses when the proxy is left out; `chosen`, in which part of the nested tunings it had
            a weight. All but the last are optimistic, like `tuned_kendall`.
        parts: one row a held-out part: its number of `pairs`, and Kendall's τ of `tuned`, `default` and `params`.
        settings: everything that the result depends on.
    """

    combination: Combination
    gain: float
    low: float
    high: float
    kendall: float
    tuned_kendall: float
    baseline: float
    params: float
    table: pd.DataFrame
    parts: pd.DataFrame = field(repr=False)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def better(self) -> bool:
        """Whether the gain over the default combination is shown: its whole interval lies above 0."""
        return self.low > 0

    def save(self, path: str | Path) -> None:
        """Write the combination, and in it how it was found and what was measured, as JSON."""
        self.combination.save(path)

    @property
    def verdict(self) -> str:
        """In words, what the tuning is worth on architectures that it has not seen."""
        shown = "it is better" if self.better else "it is worse" if self.high < 0 else "not shown"
        text = (
            f"on held-out architectures: Kendall {self.kendall:.2f} against {self.baseline:.2f} of the default and "
            f"{self.params:.2f} of params; gain over the default {self.gain:+.3f}, 95 % interval {self.low:+.3f} to "
            f"{self.high:+.3f}: {shown}"
        )
        return text.replace("-", "−").replace("held−out", "held-out")

    def __str__(self) -> str:
        return f"{self.combination}; {self.verdict}"


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
    workers: int = 1,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Find the combination of proxies, and how to score with them, that ranks trained architectures best.

    Every trained architecture is scored by every proxy under every setting. Optuna then looks for weights from −1 to 1
    (as RoBoT, ICLR 2024, does; 0 leaves a proxy out), the setting and the rule, starting from the default combination.
    All of that but the scoring is repeated on parts of the trained architectures, and measured on the rest: `gain` is
    that of the whole procedure, not of the combination that was chosen because it did well. Architectures that were
    drawn at random are the best to tune with: the gain is that on architectures like them.

    Args:
        trained: a mapping or Series from architecture texts to accuracies, a CSV file with columns `arch` and
            `accuracy`, a benchmark, a search's result, or a sequence of the runs of a training.
        space: what the architectures are of: a space, its name, or a function of choices; a benchmark's own if None.
        data: anything `zerocost.data.load` takes; a benchmark's own if None.
        proxies: what may be given a weight; those of the default combination and `params` are scored as well.
        fidelities, batches, repeats: what may be chosen: fidelities, samples in the batch, and numbers of
            initialisations. Networks to score: trained × fidelities × batches × the greatest of `repeats`.
        methods: rules that may be chosen: "log_rank", "rank_mean", "vote".
        trials: proposals that Optuna makes in a tuning.
        folds, rounds: parts that the trained architectures are divided into, and how often they are divided anew.
        n: architectures to draw from a benchmark.
        pool: architectures drawn at random and scored, for the combination to rank among; the trained ones if 0.
        seed: draws all that is drawn; the first seed of the scores.
        store: a file, or the URL of a database, to keep scores in; none is computed twice.
        workers: processes to score in.
        device: where networks are scored.
        progress: called with the stage ("score", "tune"), the number done and the total.

    Raises:
        InputError: fewer than 8 trained architectures, the same accuracy for all, or settings or data that cannot be
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
    for name, number, least in (("trials", trials, 2), ("folds", folds, 2), ("rounds", rounds, 1), ("n", n, 1)):
        if number < least:
            raise InputError(f"{name} must be at least {least}, but got {number}")
    if pool < 0:
        raise InputError(f"pool must be at least 0, but got {pool}")
    rules = list(methods)
    for rule in rules:
        if rule not in METHODS:
            raise unknown("method", rule, METHODS)
    check_device(device)
    source = data_.load(data)
    made, _ = fit_space(space, source)
    accuracy = accuracies(trained, made, n, seed)
    wanted = settings(fidelities, batches, repeats)
    default = standard(wanted)
    wanted = sorted({*wanted, default.setting}, key=lambda one: (one.cost, one))
    given = (
        portable_proxies(combine.parts(proxies))
        | portable_proxies(combine.default.proxies)
        | portable_proxies("params")
    )
    scoring = partial(
        scored,
        space=made,
        data=source,
        proxies=list(given.values()),
        seed=seed,
        workers=workers,
        device=None if device is None else str(device),
        progress=progress,
    )
    tuning = partial(
        tuned, default=default, trials=trials, methods=rules, names=[*portable_proxies(combine.parts(proxies))]
    )

    def told(done: int, total: int) -> None:
        if progress:
            progress("tune", done, total)

    with Store(store) as opened:
        frames = scoring(list(accuracy.index), wanted=wanted, store=opened)
        held, found, counts = validated(
            frames, accuracy, default, tuning, folds=folds, rounds=rounds, seed=seed, progress=told
        )
        best = tuning(frames, accuracy, seed)
        told(len(found) + 1, len(found) + 1)
        scores = reference = frames[best.setting]
        if pool:
            drawn = [str(arch) for arch in distinct(made, pool, np.random.default_rng(seed))]
            reference = scoring(drawn, wanted=[best.setting], store=opened)[best.setting]
    gain, table = difference(held), tabulated(held)
    means = {name: mean(table, name) for name in ("tuned", "default", "params")}
    combination = Combination(
        best.weights, best.method, best.setting.batch, best.setting.repeats, best.setting.fidelity
    ).against(reference)
    where = threshold(combination, scores, accuracy) if counts.trusted else None
    measured: dict[str, Any] = {
        "kendall": means["tuned"],
        "kendall of the default": means["default"],
        "kendall of params": means["params"],
        "gain": list(gain),
        "kendall on what was tuned on": best.kendall,
        "filter, held-out best": f"{counts.best_passed} of {counts.best} passed",
        "filter, held-out others": f"{counts.others_passed} of {counts.others} passed",
    }
    used: dict[str, Any] = {
        "zerocost": VERSION,
        "torch": torch.__version__,
        "space": made.name,
        "data": data if isinstance(data, str) else type(data).__name__,
        "trained": len(accuracy),
        "proxies": ", ".join(portable_proxies(combine.parts(proxies))),
        "default": f"{combine.default}, {default.setting}",
        "settings": "; ".join(map(str, wanted)),
        "methods": ", ".join(rules),
        "trials": trials,
        "folds": folds,
        "rounds": rounds,
        "pool": pool,
        "seed": seed,
        "device": str(device or "cpu"),
    }
    combination = replace(combination, where=where, made={"by": "zerocost.tuning.tune", **used, "measured": measured})
    return Tuned(
        combination,
        *gain,
        means["tuned"],
        best.kendall,
        means["default"],
        means["params"],
        weighed(best, scores, accuracy, found, list(portable_proxies(combine.parts(proxies)))),
        table,
        used | {"measured": measured},
    )


def standard(wanted: list[Setting]) -> Found:
    """The default combination under its own setting, where it has one, or the cheapest of those that are wanted."""
    own, first = combine.default, wanted[0]
    setting = Setting(own.fidelity or first.fidelity, own.batch or first.batch, own.repeats or first.repeats)
    return Found({name: own.weights[name] for name in own.proxies}, own.method, setting, float("nan"))


def tuned(
    frames: dict[Setting, pd.DataFrame],
    accuracy: pd.Series[float],
    seed: int,
    *,
    default: Found,
    trials: int,
    methods: list[str],
    names: list[str],
) -> Found:
    """One tuning that gives weights to the named proxies, and to those of the default."""
    columns = list(dict.fromkeys([*names, *default.weights]))
    few = {setting: frame[columns] for setting, frame in frames.items()}
    return find(few, accuracy, default, trials=trials, methods=methods, seed=seed)


def weighed(
    best: Found, scores: pd.DataFrame, accuracy: pd.Series[float], found: list[Found], names: list[str]
) -> pd.DataFrame:
    """The table of weights, those of the greatest magnitude first."""
    rows = {}
    often = chosen(found, list(dict.fromkeys([*names, *best.weights])))
    for name, share in often.items():
        others = {n: w for n, w in best.weights.items() if n != name}
        less = agreement(METHODS[best.method](scores[list(others)], others), accuracy) if others else 0.0
        loss = best.kendall - less if name in best.weights else float("nan")
        rows[name] = (best.weights.get(name, 0.0), agreement(scores[name], accuracy), loss, share)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["weight", "alone", "without", "chosen"], dtype=float)
    return table.sort_values("weight", key=lambda w: -w.abs(), kind="stable").rename_axis("proxy")
