"""The stages of a search before any training: propose and judge, judge the best again, filter."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from zerocost.scoring.select import select
from zerocost.scoring.table import ScoreTable
from zerocost.search.explore import Explored, Stop, explore
from zerocost.search.measure import Judged
from zerocost.search.plan import SearchPlan
from zerocost.search.result import SearchInterrupted, SearchResult, Stage
from zerocost.spaces import Architecture, Fidelity

if TYPE_CHECKING:
    from zerocost.search.pipeline import Pipeline

Progress = Callable[[str, int, int], None]


def searched(
    pipeline: Pipeline, plan: SearchPlan, study_storage: str | None = None, progress: Progress | None = None
) -> SearchResult:
    """Everything up to the filter; `SearchInterrupted` with what was done at Ctrl-C."""
    found = Explored()
    tables: list[ScoreTable] = []
    stages: list[Stage] = []

    def result() -> SearchResult:
        passing = select(tables[-1], plan.where)
        kept = select(passing, top=pipeline.keep)
        return SearchResult(
            plan.space.name,
            tables[-1],
            kept,
            stages=stages,
            objectives=plan.objectives.names,
            combination=plan.objectives.combination,
            front=plan.objectives.front(passing.frame),
            order=list(found.judged),
            rejected=found.rejected,
            earlier=tables[:-1],
        )

    try:
        explored(pipeline, plan, found, tables, stages, study_storage, progress)
        for fidelity in pipeline.fidelities[1:]:
            refined(pipeline, plan, fidelity, tables, stages, progress)
    except KeyboardInterrupt:
        raise SearchInterrupted(result()) from None
    done = result()
    condition = f" where {plan.where}" if plan.where else ""
    stages.append(Stage("filter", len(done.kept), 0.0, f"top {pipeline.keep} by rank_score{condition}"))
    return done


def explored(
    pipeline: Pipeline,
    plan: SearchPlan,
    found: Explored,
    tables: list[ScoreTable],
    stages: list[Stage],
    study_storage: str | None,
    progress: Progress | None,
) -> None:
    """Judge what the strategy proposes, at the first fidelity."""
    fidelity = pipeline.fidelities[0]
    start, spent = time.perf_counter(), 0.0

    def timed(archs: Sequence[Architecture]) -> Iterator[Judged]:
        nonlocal spent
        begin = time.perf_counter()
        for judged in judge(archs):
            spent += time.perf_counter() - begin
            yield judged
            begin = time.perf_counter()

    try:
        judge = plan.judge(fidelity)
        explore(
            plan.space,
            plan.study(pipeline, study_storage),
            timed,
            plan.objectives,
            candidates=pipeline.candidates,
            limit=plan.limits.check,
            stop=Stop(pipeline.trials, pipeline.seconds, pipeline.patience),
            several=study_storage is not None,
            progress=partial(progress, "score") if progress else None,
            found=found,
        )
    finally:
        strategy = pipeline.strategy if isinstance(pipeline.strategy, str) else type(pipeline.strategy).__name__
        refused = f", {len(found.rejected):,} over a limit" if found.rejected else ""
        known = f", {found.repeats:,} known already" if found.repeats else ""
        detail = f"proposals of strategy {strategy}{refused}{known}; {found.stopped or 'interrupted'}"
        stages.append(Stage("sample", found.proposals, time.perf_counter() - start - spent, detail))
        stages.append(Stage("score", len(found.judged), spent, plan.described(fidelity)))
        tables.append(plan.table(found.judged, fidelity, spent))


def refined(
    pipeline: Pipeline,
    plan: SearchPlan,
    fidelity: Fidelity,
    tables: list[ScoreTable],
    stages: list[Stage],
    progress: Progress | None,
) -> None:
    """Judge the best of the last table again, at the next fidelity."""
    start = time.perf_counter()
    last = tables[-1].frame
    best = [str(name) for name in last.index[: max(pipeline.keep, math.ceil(len(last) / pipeline.reduction))]]
    judged: dict[str, Judged] = {}
    try:
        archs = [plan.space.parse(text) for text in best]
        for text, one in zip(best, plan.judge(fidelity)(archs), strict=True):
            judged[text] = one
            if progress:
                progress("score", len(judged), len(best))
    finally:
        seconds = time.perf_counter() - start
        stages.append(Stage("score again", len(judged), seconds, plan.described(fidelity)))
        if judged:
            tables.append(plan.table(judged, fidelity, seconds))
