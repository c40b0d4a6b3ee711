"""Training for a search: the survivors, and as many random picks."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from torch import nn

from zerocost.base.format import plural
from zerocost.base.progress import StageProgress
from zerocost.scoring.candidates import Builder
from zerocost.search.follow import Follower
from zerocost.search.loop import train_by_learning
from zerocost.search.plan import SearchPlan
from zerocost.search.result import SearchInterrupted, SearchResult, Stage
from zerocost.search.settings import Training
from zerocost.search.stages import first_round, in_one_round
from zerocost.spaces import distinct
from zerocost.train.run import Run, TrainingInterrupted
from zerocost.train.settings import Progress, resolve_device
from zerocost.train.tracking import Tracking, score_parameters

_DRAWS_PER_PICK = 100
"""Architectures drawn for each random pick, at most, until one keeps to the limits."""

_Candidates = Mapping[str, Builder | nn.Module]


def train_both(
    plan: SearchPlan, result: SearchResult, progress: StageProgress, follower: Follower | None = None
) -> None:
    """Train the survivors and, for each seed, random picks; fills in the result's runs.

    Args:
        plan: what the search does.
        result: what it has found.
        progress: is told how many epochs are done.
        follower: adds candidates between rounds, where the search learns from its trainings.
    """
    training = plan.pipeline
    seeds = list(range(training.training_seeds))
    picks = min(training.keep, len(result.table)) if training.learns else len(result.kept)
    count = min(training.trainings or len(result.kept), len(result.kept))
    tracking = Tracking(training.logger, plan.space.name)
    total = (count + picks) * len(seeds) * training.epochs
    trainer = _GroupTrainer(plan, _count_epochs(progress, total), tracking)

    def add(runs: list[Run], candidates: _Candidates, each: list[int]) -> None:
        try:
            runs.extend(trainer.train(candidates, each))
        except TrainingInterrupted as stop:
            runs.extend(stop.runs)
            raise

    def train_survivors(names: Iterable[object]) -> list[Run]:
        chosen = {str(name): result.table.candidates[str(name)] for name in names}
        before = len(result.survivors)
        tracking.parameters = _tracked_parameters(result, chosen)
        add(result.survivors, chosen, seeds)
        return result.survivors[before:]

    from zerocost.train.parallel import kept_processes

    start = time.perf_counter()
    try:
        with tracking, kept_processes():
            if training.learns:
                train_by_learning(plan, result, train_survivors, follower)
            else:
                train_survivors(result.kept.frame.index)
            tracking.parameters = _tracked_parameters(result, result.kept.frame.index)
            for seed in seeds:
                add(result.random, _random_picks(plan, result, picks, seed), [seed])
    except KeyboardInterrupt:
        raise SearchInterrupted(result) from None
    finally:
        spent = time.perf_counter() - start
        if follower is not None:
            spent -= follower.seconds
            detail = f"proposals of strategy {training.strategy_name} by what was expected, between the rounds"
            result.stages.append(Stage("follow", follower.count, follower.seconds, detail))
        names = {(run.name, run.seed) for run in (*result.survivors, *result.random)}
        shared = len(result.survivors) + len(result.random) - len(names)
        result.stages.append(Stage("train", len(names), spent, _describe(training, picks, shared)))


def _describe(training: Training, picks: int, shared: int) -> str:
    """What was trained, and how long, in words; `shared` runs are of survivors that are picks too."""
    rounds = f"in rounds of {first_round(training)}, then {training.round_size}, " if training.learns else ""
    if in_one_round(training):
        rounds = "in one round, "
    kind = "successive halving, at most " if training.halving else ""
    length = f"{plural(training.epochs, 'epoch')}, {plural(training.training_seeds, 'seed')}"
    beside = plural(picks, "random pick") if training.learns else "as many random picks"
    both = f"{plural(shared, 'run')} for both, " if shared else ""
    return f"survivors {rounds}and {beside}, {both}{kind}{length}"


def _random_picks(plan: SearchPlan, result: SearchResult, count: int, seed: int) -> _Candidates:
    """As many architectures that keep to the limits, drawn from the space; from those scored where these are random."""
    rng = np.random.default_rng([plan.pipeline.seed, seed])
    if plan.pipeline.strategy == "random" and not result.earlier:
        names = list(result.table.candidates)
        return {names[i]: result.table.candidates[names[i]] for i in rng.choice(len(names), count, replace=False)}
    drawn = (arch for arch in distinct(plan.space, _DRAWS_PER_PICK * count, rng) if plan.limits.check(arch) is None)
    return {str(arch): partial(plan.space.build, arch) for arch in islice(drawn, count)}


def _tracked_parameters(result: SearchResult, kept: Collection[object]) -> dict[str, dict[str, Any]]:
    """What a tracker's runs say of each architecture that was scored."""
    scores = score_parameters(result.table.frame)
    return {name: {"kept": name in kept} | own for name, own in scores.items()}


@dataclass
class _GroupTrainer:
    """Trains groups of candidates; without halving each candidate is trained once a seed, whatever its groups."""

    plan: SearchPlan
    progress: Progress
    tracking: Tracking
    finished: dict[tuple[str, int], Run] = field(default_factory=dict)

    def train(self, candidates: _Candidates, seeds: Sequence[int]) -> list[Run]:
        """The runs of one group."""
        from zerocost.train import train
        from zerocost.train.halving import halving

        wanted = [(name, seed) for name in candidates for seed in seeds]
        if not wanted:
            return []
        split, training = self.plan.split, self.plan.pipeline
        settings: dict[str, Any] = {
            "train": split.fitting,
            "validation": split.validation,
            "workdir": split.workdir,
            "task": split.task,
            "seeds": seeds,
            "epochs": training.epochs,
            "device": training.device,
            "workers": training.workers if training.ray or resolve_device(training.device).type == "cpu" else None,
            "ray": training.ray,
            "progress": self.progress,
            "logger": self.tracking,
        }
        if training.halving:
            return halving(candidates, **settings)
        new = {name: candidates[name] for name, seed in wanted if (name, seed) not in self.finished}
        try:
            runs = train(new, **settings) if new else []
        except TrainingInterrupted as stop:
            known = [self.finished[name, seed] for name, seed in wanted if name not in new]
            raise TrainingInterrupted([*known, *stop.runs]) from None
        self.finished |= {(run.name, run.seed): run for run in runs}
        return [self.finished[one] for one in wanted]


def _count_epochs(report: StageProgress, total: int) -> Progress:
    """What counts epochs, and reports them as the steps of a search's stage "train"."""
    done = 0

    def count(_name: str, _seed: int, _epoch: int, _epochs: int, _metric: float) -> None:
        nonlocal done
        done += 1
        report("train", min(done, total), total)

    return count
