"""NAS-Bench-201 for measuring searches: every score is computed once, and any number of searches look it up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import torch
from rich.console import Console
from rich.progress import Progress

import zerocost as zc
from zerocost.combine import log_rank
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.samplers import BatchGuide, GradientSampler
from zerocost.samplers.strategies import make_sampler, quiet_optuna
from zerocost.search.explore import LimitCheck, Proposer, explore
from zerocost.search.measure import Measurement
from zerocost.search.objectives import Objectives
from zerocost.search.settings import Stopping
from zerocost.search.sizes import size_costs
from zerocost.spaces import Architecture, Fidelity
from zerocost.store import Store

SPACE = zc.spaces.get("nasbench201")
key = cache(lambda text: SPACE.canonical(SPACE.parse(text)))
SMALL = "width=0.5,depth=0.2,resolution=16,batch=32"
PROXIES = ("jacob_cov", "log_synflow")
STRATEGIES = "random,evolution,local,reinforce,gradient,tpe,nsga2,cmaes"


@cache
def texts() -> tuple[str, ...]:
    return tuple(str(arch) for arch in SPACE)


@cache
def distinct() -> tuple[str, ...]:
    """Of each set of twins the first, in random order."""
    first = list({key(text): text for text in reversed(texts())}.values())
    return tuple(first[i] for i in np.random.default_rng(0).permutation(len(first)))


def score_all(
    chosen: Sequence[str], data: str, store: Path, *, proxies: Sequence[str] = PROXIES, fidelity: str = SMALL
) -> pd.DataFrame:
    """One row an architecture, one column a proxy, NaN where it failed; `store` keeps what was scored, from seed 0."""
    torch.set_num_threads(1)
    scale = Fidelity.parse(fidelity)
    job = Job(SPACE, tuple(proxies), draw_job_batches(data, [0], 64, 1, False, scale), scale, None)
    with Store(store) as kept, Scorer(job, store=kept) as score, Progress(console=Console(stderr=True)) as shown:
        bar = shown.add_task("scoring", total=len(chosen))
        found = score(chosen, progress=lambda done, _: shown.update(bar, completed=done))
    rows = {text: {name: one.value for name, one in found[text, 0].items()} for text in chosen}
    return pd.DataFrame.from_dict(rows, orient="index", dtype=float)


def for_twins(known: pd.DataFrame) -> pd.DataFrame:
    """Scores of all architectures from those of `distinct`: twins share theirs, NaN where none was scored."""
    by_key = known.set_axis([key(text) for text in known.index])
    return by_key.reindex([key(text) for text in texts()]).set_axis(pd.Index(texts()))


def parameters() -> pd.Series[float]:
    """Parameters of all full networks: a sum over the cell's edges, measured on one network for each operation."""
    size = size_costs(SPACE, torch.zeros(1, 3, 32, 32))["params"]
    codes = {
        text: [edge.split("~")[0] for edge in text.replace("+", "").strip("|").split("|") if edge] for text in texts()
    }
    same = {operations[0]: text for text, operations in codes.items() if len(set(operations)) == 1}
    total = {operation: float(size(SPACE.parse(text))) for operation, text in same.items()}
    least = total["none"]
    return pd.Series(
        {text: least + sum((total[o] - least) / 6 for o in operations) for text, operations in codes.items()}
    ).round()


def search_order(
    strategy: str,
    numbers: pd.DataFrame,
    objectives: Objectives,
    *,
    candidates: int,
    seed: int,
    data: str = "noise:3x32x32",
    limit: LimitCheck = lambda arch: None,
    **guided: Any,
) -> list[str]:
    """What a strategy proposes, in order, when `numbers`, a row an architecture, is measured: the loop of `search`."""

    place = {text: i for i, text in enumerate(numbers.index)}
    columns, values = list(numbers.columns), numbers.to_numpy()

    def measure(archs: Sequence[Architecture]) -> Iterator[Measurement]:
        for arch in archs:
            row = zip(columns, values[place[str(arch)]].tolist(), strict=True)
            yield Measurement({name: value for name, value in row if not np.isnan(value)}, {})

    if strategy == "gradient":
        chosen: Any = gradient_sampler(data, seed)
    else:
        options = {"seed": seed, "combine": objectives.fitness, "objectives": len(objectives.names)}
        chosen = make_sampler(strategy, SPACE, **options, **guided)
    with quiet_optuna():
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=chosen, directions=objectives.directions)
        proposer = Proposer(SPACE, study, objectives, Stopping(candidates=candidates), limit)
        return list(explore(proposer, measure).measured)


@cache
def gradient_sampler(data: str, seed: int) -> GradientSampler:
    """The sampler `gradient`, which learns from its batch alone, so that all searches of a seed can share it."""
    return GradientSampler(SPACE, zc.data.draw(zc.data.load(data), 32, seed=seed), seed=seed)


def guide(scores: pd.DataFrame, seed: int, reference: int) -> tuple[BatchGuide, set[str]]:
    """Ranks architectures by their scores among `reference` random ones; and the keys of what it scored so far."""
    among = scores.loc[[str(arch) for arch in zc.spaces.distinct(SPACE, reference, np.random.default_rng(seed))]]
    scored = {key(text) for text in among.index}

    def many(archs: list[Architecture]) -> list[float]:
        names = [str(arch) for arch in archs]
        scored.update(key(name) for name in names)
        return log_rank(scores.loc[names], reference=among).tolist()

    return BatchGuide(many), scored


def mean_with_interval(values: Sequence[float], digits: int = 2) -> str:
    """The mean over searches and its 95 % bootstrap interval."""
    found = np.asarray(values, dtype=float)
    means = np.random.default_rng(0).choice(found, (2000, len(found))).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{found.mean():.{digits}f} ({low:.{digits}f} – {high:.{digits}f})"
