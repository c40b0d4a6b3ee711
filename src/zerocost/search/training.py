"""Training for a search: the survivors, and as many random picks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from torch import nn

from zerocost.base.progress import StageProgress
from zerocost.scoring.candidates import Builder
from zerocost.search.plan import SearchPlan
from zerocost.search.result import SearchInterrupted, SearchResult, Stage
from zerocost.spaces import distinct
from zerocost.train.run import Run, TrainingInterrupted
from zerocost.train.tracking import Tracking, score_parameters

_DRAWS_PER_PICK = 100
"""Architectures drawn for each random pick, at most, until one keeps to the limits."""

_Candidates = Mapping[str, Builder | nn.Module]


def train_both(plan: SearchPlan, result: SearchResult, progress: StageProgress) -> None:
    """Train the survivors and, for each seed, as many random picks; fills in the result's runs."""
    training = plan.pipeline
    seeds = list(range(training.training_seeds))
    survivors: _Candidates = {str(name): result.kept.candidates[name] for name in result.kept.frame.index}
    jobs = [(result.survivors, survivors, [seed]) for seed in seeds]
    if training.halving:
        jobs = [(result.survivors, survivors, seeds)]
    jobs += [(result.random, _random_picks(plan, result, len(survivors), seed), [seed]) for seed in seeds]
    total = sum(len(candidates) * len(each) for _, candidates, each in jobs) * training.epochs
    tracking = Tracking(training.logger, plan.space.name, _tracked_parameters(result))
    trainer = _GroupTrainer(plan, _EpochCount(progress, total), tracking)
    start = time.perf_counter()
    try:
        with tracking:
            for runs, candidates, each in jobs:
                runs.extend(trainer.train(candidates, each))
    except TrainingInterrupted as stop:
        runs.extend(stop.runs)
        raise SearchInterrupted(result) from None
    finally:
        kind = "successive halving, at most " if training.halving else ""
        lengths = {"epoch": training.epochs, "seed": training.training_seeds}
        length = ", ".join(f"{number} {name}{'s' * (number != 1)}" for name, number in lengths.items())
        names = {(run.name, run.seed) for run in (*result.survivors, *result.random)}
        detail = f"survivors and as many random picks, {kind}{length}"
        result.stages.append(Stage("train", len(names), time.perf_counter() - start, detail))


def _random_picks(plan: SearchPlan, result: SearchResult, count: int, seed: int) -> _Candidates:
    """As many architectures that keep to the limits, drawn from the space; from those scored where these are random."""
    rng = np.random.default_rng([plan.pipeline.seed, seed])
    if plan.pipeline.strategy == "random" and not result.earlier:
        names = list(result.table.candidates)
        return {names[i]: result.table.candidates[names[i]] for i in rng.choice(len(names), count, replace=False)}
    drawn = (arch for arch in distinct(plan.space, _DRAWS_PER_PICK * count, rng) if plan.limits.check(arch) is None)
    return {str(arch): partial(plan.space.build, arch) for arch in islice(drawn, count)}


def _tracked_parameters(result: SearchResult) -> dict[str, dict[str, Any]]:
    """What a tracker's runs say of each architecture that was scored."""
    scores = score_parameters(result.table.frame)
    return {name: {"kept": name in result.kept.frame.index} | own for name, own in scores.items()}


@dataclass
class _GroupTrainer:
    """Trains groups of candidates; without halving each candidate is trained once a seed, whatever its groups."""

    plan: SearchPlan
    count: _EpochCount
    tracking: Tracking
    finished: dict[tuple[str, int], Run] = field(default_factory=dict)

    def train(self, candidates: _Candidates, seeds: Sequence[int]) -> list[Run]:
        """The runs of one group; without halving it has one seed."""
        from zerocost.train import train
        from zerocost.train.halving import halving

        split, training = self.plan.split, self.plan.pipeline
        settings: dict[str, Any] = {
            **{"train": split.fitting, "validation": split.validation, "workdir": split.workdir, "seeds": seeds},
            **{"epochs": training.epochs, "device": training.device, "progress": self.count.epoch},
            **{"task": split.task, "logger": self.tracking},
        }
        if training.halving:
            return halving(candidates, **settings)
        [seed] = seeds
        new = {name: build for name, build in candidates.items() if (name, seed) not in self.finished}
        try:
            runs = train(new, **settings) if new else []
        except TrainingInterrupted as stop:
            known = [self.finished[name, seed] for name in candidates if name not in new]
            raise TrainingInterrupted([*known, *stop.runs]) from None
        self.finished |= {(run.name, run.seed): run for run in runs}
        return [self.finished[name, seed] for name in candidates]


class _EpochCount:
    """Counts epochs, and reports them as the steps of a search's stage "train"."""

    def __init__(self, progress: StageProgress, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def epoch(self, _name: str, _seed: int, _epoch: int, _epochs: int, _metric: float) -> None:
        self.done += 1
        self.progress("train", min(self.done, self.total), self.total)
