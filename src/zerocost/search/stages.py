"""The stages of a search before any training: propose and measure, measure the best again, filter."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from zerocost.base.progress import StageProgress
from zerocost.scoring.select import select
from zerocost.scoring.table import ScoreTable
from zerocost.search.explore import Exploration, Proposer, explore
from zerocost.search.measure import Measurement
from zerocost.search.plan import SearchPlan
from zerocost.search.result import SearchInterrupted, SearchResult, Stage
from zerocost.search.study import make_study
from zerocost.spaces import Architecture, Fidelity


@dataclass
class _Done:
    """What the stages of a search have done so far.

    Attributes:
        plan: what the search does.
        progress: is told how far a stage has come.
        found: what was proposed and measured at the first fidelity.
        tables: a score table for each fidelity.
        stages: what each stage cost.
    """

    plan: SearchPlan
    progress: StageProgress
    found: Exploration = field(default_factory=Exploration)
    tables: list[ScoreTable] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)

    def result(self) -> SearchResult:
        """The result up to here, filtered."""
        plan, table = self.plan, self.tables[-1]
        passing = select(table, plan.where)
        return SearchResult(
            plan.space.name,
            table,
            select(passing, top=plan.pipeline.keep),
            stages=self.stages,
            objectives=plan.objectives.names,
            combination=plan.objectives.combination,
            front=plan.objectives.front(passing.frame),
            order=list(self.found.measured),
            rejected=self.found.rejected,
            earlier=self.tables[:-1],
        )


def explore_and_refine(plan: SearchPlan, study_storage: str | None, progress: StageProgress) -> SearchResult:
    """Everything up to the filter; `SearchInterrupted` with what was done at Ctrl-C."""
    done = _Done(plan, progress)
    try:
        _explore_space(done, study_storage)
        for fidelity in plan.pipeline.fidelities[1:]:
            _score_again(done, fidelity)
    except KeyboardInterrupt:
        raise SearchInterrupted(done.result()) from None
    result = done.result()
    condition = f" where {plan.where}" if plan.where else ""
    detail = f"top {plan.pipeline.keep} by rank_score{condition}"
    result.stages.append(Stage("filter", len(result.kept), 0.0, detail))
    return result


def _explore_space(done: _Done, study_storage: str | None) -> None:
    """Measure what the strategy proposes, at the first fidelity."""
    plan, found, fidelity = done.plan, done.found, done.plan.pipeline.fidelities[0]
    start, spent = time.perf_counter(), 0.0

    def timed(archs: Sequence[Architecture]) -> Iterator[Measurement]:
        nonlocal spent
        begin = time.perf_counter()
        for measurement in measure(archs):
            spent += time.perf_counter() - begin
            yield measurement
            begin = time.perf_counter()

    try:
        measure = plan.measure(fidelity)
        study, limit, shared = make_study(plan, study_storage), plan.limits.check, study_storage is not None
        proposer = Proposer(plan.space, study, plan.objectives, plan.pipeline, limit, shared, found)
        explore(proposer, timed, partial(done.progress, "score"))
    finally:
        refused = f", {len(found.rejected):,} over a limit" if found.rejected else ""
        known = f", {found.repeats:,} known already" if found.repeats else ""
        strategy, end = plan.pipeline.strategy_name, found.stopped or "interrupted"
        detail = f"proposals of strategy {strategy}{refused}{known}; {end}"
        done.stages.append(Stage("sample", found.proposals, time.perf_counter() - start - spent, detail))
        done.stages.append(Stage("score", len(found.measured), spent, plan.describe(fidelity)))
        done.tables.append(plan.table(found.measured, fidelity, spent))


def _score_again(done: _Done, fidelity: Fidelity) -> None:
    """Measure the best of the last table again, at the next fidelity."""
    plan, start = done.plan, time.perf_counter()
    last = done.tables[-1].frame
    count = max(plan.pipeline.keep, math.ceil(len(last) / plan.pipeline.reduction))
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
