"""The stages of a search before any training: propose and measure, measure the best again, filter."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from optuna import Study

from zerocost.base.progress import StageProgress
from zerocost.scoring.select import select
from zerocost.scoring.table import ScoreTable
from zerocost.search.explore import ROUND_SIZE, Exploration, Proposer, explore
from zerocost.search.limits import count_refusals
from zerocost.search.measure import Measure, Measurement
from zerocost.search.plan import SearchPlan
from zerocost.search.result import SearchInterrupted, SearchResult, Stage
from zerocost.search.search_settings import SearchSettings
from zerocost.search.settings import Stopping, Training
from zerocost.search.study import make_study
from zerocost.spaces import Architecture, Fidelity

_FIRST = 5
"""Trainings of the first round at least."""
_PER_WORKER = 4
"""Architectures for each worker in a round: at its end, some wait for the others."""
_FOLLOWING = ("evolution", "local", "reinforce", "tpe", "gp")


@dataclass
class Explored:
    """What the stages of a search have done so far.

    Attributes:
        plan: what the search does.
        progress: is told how far a stage has come.
        found: what was proposed and measured at the first fidelity.
        tables: a score table for each fidelity.
        stages: what each stage cost.
        study: where proposals were made.
        measure: measures at the first fidelity.
        seconds: time spent on it.
        exploring: time spent on proposing and measuring.
    """

    plan: SearchPlan
    progress: StageProgress
    found: Exploration = field(default_factory=Exploration)
    tables: list[ScoreTable] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    study: Study | None = None
    measure: Measure | None = None
    seconds: float = 0.0
    exploring: float = 0.0

    def timed(self, archs: Sequence[Architecture]) -> Iterator[Measurement]:
        """What `measure` gives; adds the time that it takes."""
        assert self.measure is not None
        begin = time.perf_counter()
        for measurement in self.measure(archs):
            self.seconds += time.perf_counter() - begin
            yield measurement
            begin = time.perf_counter()

    def result(self) -> SearchResult:
        """The result up to here, filtered."""
        plan, table = self.plan, self.tables[-1]
        passing = select(table, plan.where)
        top = None if plan.pipeline.learns else plan.pipeline.keep
        return SearchResult(
            plan.space.name,
            table,
            select(passing, top=top),
            stages=self.stages,
            objectives=plan.objectives.names,
            combination=plan.objectives.combination,
            front=plan.objectives.front(passing.frame),
            order=list(self.found.measured),
            rejected=self.found.rejected,
            earlier=self.tables[:-1],
        )


def explore_and_refine(
    plan: SearchPlan, study_storage: str | None, progress: StageProgress
) -> tuple[SearchResult, Explored]:
    """Everything up to the filter; `SearchInterrupted` with what was done at Ctrl-C."""
    done = Explored(plan, progress)
    try:
        _explore_space(done, study_storage)
        for fidelity in plan.pipeline.fidelities[1:]:
            _score_again(done, fidelity)
    except KeyboardInterrupt:
        raise SearchInterrupted(done.result()) from None
    result = done.result()
    condition = f" where {plan.where}" if plan.where else ""
    which = "all with a score" if plan.pipeline.learns else f"top {plan.pipeline.keep} by rank_score"
    result.stages.append(Stage("filter", len(result.kept), 0.0, f"{which}{condition}"))
    return result, done


def _explore_space(done: Explored, study_storage: str | None) -> None:
    """Measure what the strategy proposes, at the first fidelity."""
    plan, found, fidelity = done.plan, done.found, done.plan.pipeline.fidelities[0]
    start = time.perf_counter()
    try:
        done.measure, done.study = plan.measure(fidelity), make_study(plan, study_storage)
        shared = study_storage is not None
        half = stopping(plan.pipeline, candidates=first_half(plan.pipeline))
        until = half if follows(plan, study_storage) else plan.pipeline
        limits = plan.limits
        proposer = Proposer(
            plan.space,
            done.study,
            plan.objectives,
            until,
            limits.check,
            limits.repair,
            shared,
            found,
            round_size=ROUND_SIZE if shared else _round_size(plan),
        )
        explore(proposer, done.timed, partial(done.progress, "score"))
    finally:
        known = [f"{found.repeats:,} known already"] if found.repeats else []
        strategy, end = plan.pipeline.strategy_name, found.stopped or "interrupted"
        parts = [f"proposals of strategy {strategy}", *count_refusals(found.rejected.values()), *known]
        detail = f"{', '.join(parts)}; {end}"
        done.exploring = time.perf_counter() - start
        done.stages.append(Stage("sample", found.proposals, done.exploring - done.seconds, detail))
        done.stages.append(Stage("score", len(found.measured), done.seconds, plan.describe(fidelity)))
        done.tables.append(plan.table(found.measured, fidelity, done.seconds))


def _round_size(plan: SearchPlan) -> int:
    """How many architectures are proposed at a time: enough for all workers, where the result does not depend on it,
    as no proposal does on what others were worth."""
    pipeline = plan.pipeline
    depends = pipeline.strategy_name != "random" or pipeline.trained_objective or pipeline.patience
    return ROUND_SIZE if depends else max(ROUND_SIZE, _PER_WORKER * plan.shared.workers.count)


def follows(plan: SearchPlan, study_storage: str | None) -> bool:
    """Whether proposals go on between rounds of training, of which there are several: by one process, at one fidelity,
    for one objective, of a strategy that learns from any architectures, also those that it did not propose.
    """
    pipeline = plan.pipeline
    alone = study_storage is None and len(pipeline.fidelities) == len(plan.objectives.names) == 1
    return pipeline.learns and not in_one_round(pipeline) and alone and pipeline.strategy_name in _FOLLOWING


def first_round(training: Training) -> int:
    """Trainings of the first round, chosen by score and spread over the candidates."""
    return max(_FIRST, training.round_size)


def in_one_round(training: Training) -> bool:
    """Whether the first round spends the budget of trainings."""
    return training.trainings is not None and training.trainings <= first_round(training)


def stopping(pipeline: SearchSettings, **others: Any) -> Stopping:
    """When exploring ends, with other values for some of it."""
    return Stopping(**{one.name: getattr(pipeline, one.name) for one in fields(Stopping)} | others)


def first_half(pipeline: SearchSettings) -> int:
    """How many candidates are measured before any training, where exploring goes on afterwards."""
    return math.ceil(pipeline.candidates / 2)


def _score_again(done: Explored, fidelity: Fidelity) -> None:
    """Measure the best of the last table again, at the next fidelity."""
    plan, start = done.plan, time.perf_counter()
    last, wanted = done.tables[-1].frame, max(plan.pipeline.keep, plan.pipeline.trainings or 0)
    count = max(wanted, math.ceil(len(last) / plan.pipeline.reduction))
    best = [str(name) for name in last.index[:count]]
    measured: dict[str, Measurement] = {}
    try:
        archs = [plan.space.parse(text) for text in best]
        for text, one in zip(best, plan.measure(fidelity)(archs), strict=True):
            measured[text] = one
            done.progress("score", len(measured), len(best))
    finally:
        seconds = time.perf_counter() - start
        done.stages.append(Stage("score again", len(measured), seconds, plan.describe(fidelity)))
        if measured:
            done.tables.append(plan.table(measured, fidelity, seconds))
