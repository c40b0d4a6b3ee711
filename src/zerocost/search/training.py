"""Training for a search: the survivors, and as many random picks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from zerocost.scoring.candidates import Builder
from zerocost.search.accuracy import DataSplit
from zerocost.search.result import SearchInterrupted, SearchResult, Stage
from zerocost.spaces import distinct
from zerocost.train.run import Run, TrainingInterrupted

if TYPE_CHECKING:
    from zerocost.search.pipeline import Pipeline
    from zerocost.search.plan import SearchPlan

Progress = Callable[[str, int, int], None]
TRIED = 100
"""Architectures drawn for each random pick, at most, until one keeps to the limits."""


def train_both(
    pipeline: Pipeline, plan: SearchPlan, result: SearchResult, held: DataSplit, progress: Progress | None
) -> None:
    """Train the survivors and, for each seed, as many random picks; fills in the result's runs."""
    seeds = list(range(pipeline.training_seeds))
    survivors = {str(name): result.kept.candidates[name] for name in result.kept.frame.index}
    jobs = [(result.survivors, survivors, [seed]) for seed in seeds]
    if pipeline.halving:
        jobs = [(result.survivors, survivors, seeds)]
    jobs += [(result.random, random_picks(pipeline, plan, result, len(survivors), seed), [seed]) for seed in seeds]
    count = Count(progress, sum(len(candidates) * len(each) for _, candidates, each in jobs) * pipeline.epochs)
    start = time.perf_counter()
    finished: dict[tuple[str, int], Run] = {}
    try:
        for runs, candidates, each in jobs:
            runs.extend(trained(pipeline, candidates, each, held, finished, count))
    except TrainingInterrupted as stop:
        runs.extend(stop.runs)
        raise SearchInterrupted(result) from None
    finally:
        kind = "successive halving, at most " if pipeline.halving else ""
        lengths = {"epoch": pipeline.epochs, "seed": pipeline.training_seeds}
        told = ", ".join(f"{number} {name}{'s' * (number != 1)}" for name, number in lengths.items())
        detail = f"survivors and as many random picks, {kind}{told}"
        names = {(run.name, run.seed) for run in (*result.survivors, *result.random)}
        result.stages.append(Stage("train", len(names), time.perf_counter() - start, detail))


def trained(
    pipeline: Pipeline,
    candidates: Mapping[str, Builder | nn.Module],
    seeds: Sequence[int],
    held: DataSplit,
    finished: dict[tuple[str, int], Run],
    count: Count,
) -> list[Run]:
    """The runs of one group; without halving of one seed, and each candidate is trained once, whatever its groups."""
    from zerocost.train import train
    from zerocost.train.halving import halving

    settings: dict[str, Any] = {
        **{"train": held.fitting, "validation": held.validation, "workdir": held.workdir, "seeds": seeds},
        **{"epochs": pipeline.epochs, "device": pipeline.device, "progress": count.epoch},
    }
    if pipeline.halving:
        return halving(candidates, **settings)
    new = {name: build for name, build in candidates.items() if (name, seeds[0]) not in finished}
    try:
        runs = train(new, **settings) if new else []
    except TrainingInterrupted as stop:
        known = [finished[name, seeds[0]] for name in candidates if name not in new]
        raise TrainingInterrupted([*known, *stop.runs]) from None
    finished |= {(run.name, run.seed): run for run in runs}
    return [finished[name, seeds[0]] for name in candidates]


def random_picks(
    pipeline: Pipeline, plan: SearchPlan, result: SearchResult, count: int, seed: int
) -> dict[str, Builder | nn.Module]:
    """As many architectures that keep to the limits, drawn from the space; from those judged where these are random."""
    rng = np.random.default_rng([pipeline.seed, seed])
    if pipeline.strategy == "random" and not result.earlier:
        names = list(result.table.candidates)
        return {names[i]: result.table.candidates[names[i]] for i in rng.choice(len(names), count, replace=False)}
    drawn = (arch for arch in distinct(plan.space, TRIED * count, rng) if plan.limits.check(arch) is None)
    return {str(arch): partial(plan.space.build, arch) for arch in islice(drawn, count)}


class Count:
    """Counts epochs, and reports them as the steps of a search's stage "train"."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def epoch(self, _name: str, _seed: int, _epoch: int, _epochs: int, _accuracy: float) -> None:
        self.done += 1
        if self.progress:
            self.progress("train", min(self.done, self.total), self.total)
