"""What a search comes down to for its data: the space, what is measured of an architecture, and the limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from optuna import Study, create_study
from optuna.storages import RDBStorage

from zerocost import data as data_
from zerocost.base.conditions import parse_clauses
from zerocost.base.errors import InputError, unknown
from zerocost.base.version import VERSION
from zerocost.benchmarks.base import Benchmark
from zerocost.combine import Combination, parts
from zerocost.engine.proxy import Proxy
from zerocost.engine.proxy import names as names_
from zerocost.proxies.aggregates import AGGREGATES
from zerocost.proxies.registry import portable_proxies, resolve
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.run.fingerprint import fingerprints, proxy_identity
from zerocost.samplers.guide import BatchGuide
from zerocost.samplers.strategies import make_sampler, quiet_optuna
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.table import ScoreTable
from zerocost.search import shared_study as shared
from zerocost.search.accuracy import DataSplit, accuracy_of
from zerocost.search.costs import accuracy, costs
from zerocost.search.limits import Limits, split
from zerocost.search.measure import Judge, Judged, judge
from zerocost.search.objectives import ACCURACY, SCORE, Objectives, objective_names
from zerocost.search.sizes import Cost
from zerocost.spaces import Architecture, Fidelity, SearchSpace, distinct
from zerocost.store import Store

if TYPE_CHECKING:
    from zerocost.search.pipeline import Pipeline

REFERENCE = 64
"""Random architectures that a guide compares with."""


@dataclass(frozen=True)
class SearchPlan:
    """Everything that is judged of an architecture, and how.

    Attributes:
        space: what is searched.
        objectives: what is wanted.
        proxies: those that are scored; what is known of the network's size is not among them.
        quantities: numbers that need no score, and are asked of every architecture.
        limits: what an architecture must keep to before it is judged.
        where: the conditions that are left for the filter.
        job: what is scored at a fidelity.
        scorer: makes the scorer of a fidelity.
        storage: opens the database of a study.
        provenance: how all scores are made.
        sample: the inputs of one sample.
    """

    space: SearchSpace
    objectives: Objectives
    proxies: tuple[Proxy, ...]
    quantities: Mapping[str, Cost]
    limits: Limits
    where: str | None
    job: Callable[[Fidelity], Job]
    scorer: Callable[[Fidelity], Scorer]
    storage: Callable[[str], RDBStorage]
    provenance: dict[str, Any]
    sample: Any

    @classmethod
    def of(
        cls,
        pipeline: Pipeline,
        space: SearchSpace,
        held: DataSplit,
        store: Store,
        stack: ExitStack,
    ) -> SearchPlan:
        """The plan of a pipeline for its data; scorers and storages end with the stack.

        Raises `InputError` for names that nobody knows, and for data that cannot be used.
        """
        place = None if pipeline.device is None else str(pipeline.device)
        sample = data_.draw(held.fitting, 1, seed=pipeline.seed).inputs
        known = costs(space, sample, store, pipeline.hardware, place or "cpu")
        ranked, names = resolve(parts(pipeline.proxies)), objective_names(pipeline.objectives)
        limits, where = split(pipeline.conditions, known)
        if ACCURACY in names:
            known[ACCURACY] = accuracy(pipeline.accuracy or partial(accuracy_of, pipeline, space, held))
        functions = (pipeline.limits,) if callable(pipeline.limits) else tuple(pipeline.limits)
        scores = [p.name for p in ranked] if SCORE in names or pipeline.warmup or pipeline.moves > 1 else []
        asked = dict.fromkeys([*names, *scores, *named(where)])
        further = [name for name in asked if name not in (SCORE, *known)]
        for name in further:
            if name.isidentifier() and name not in (*names_(), *AGGREGATES, *(p.name for p in ranked)):
                hint = "" if pipeline.hardware else " Latencies and energies of other devices need hardware, a table."
                raise InputError(f"{unknown('quantity', name, [SCORE, ACCURACY, *known, *names_()])}{hint}")
        chosen = {p.name: p for p in (*ranked, *(resolve(further) if further else ()))}
        proxies = tuple(chosen[name] for name in asked if name in chosen and name not in known)
        given = portable_proxies(parts(pipeline.proxies))
        wanted = {"params", *asked, *named(limits)}

        def job(fidelity: Fidelity) -> Job:
            seeds = range(pipeline.seed, pipeline.seed + pipeline.repetitions)
            batches = draw_job_batches(held.fitting, seeds, pipeline.samples, 1, False, fidelity)
            return Job(space, tuple(given.get(p.name, p.name) for p in proxies), batches, fidelity, place)

        def scorer(fidelity: Fidelity) -> Scorer:
            return stack.enter_context(Scorer(job(fidelity), store=store, workers=pipeline.workers))

        def storage(url: str) -> RDBStorage:
            made = shared.opened(url)
            stack.callback(made.engine.dispose)
            return made

        return cls(
            space,
            Objectives(names, replace(pipeline.combination, batch=pipeline.samples, repeats=pipeline.repetitions)),
            proxies,
            {name: quantity for name, quantity in known.items() if name in wanted},
            Limits(limits, known, functions),
            where,
            job,
            scorer,
            storage,
            {"zerocost": VERSION, "torch": torch.__version__, "seed": pipeline.seed, "device": place or "cpu"},
            sample,
        )

    def judge(self, fidelity: Fidelity) -> Judge:
        """Judges architectures at a fidelity."""
        return judge(self.scorer(fidelity) if self.proxies else None, self.quantities)

    def study(self, pipeline: Pipeline, storage: str | None) -> Study:
        """The Optuna study that the pipeline's strategy makes its proposals in."""
        several = len(self.objectives.names)
        guide, batch = None, None
        if ACCURACY in self.objectives.names and (pipeline.warmup or pipeline.moves > 1):
            guide = self.guide(pipeline)
        if pipeline.strategy == "gradient":
            batch = self.job(pipeline.fidelities[0]).batches[pipeline.seed][0]
        chosen = make_sampler(
            pipeline.strategy,
            self.space,
            objectives=several,
            seed=pipeline.seed,
            combine=self.objectives.fitness,
            batch=batch,
            guide=guide,
            warmup=pipeline.warmup,
            moves=pipeline.moves,
        )
        with quiet_optuna():
            return create_study(
                sampler=chosen,
                directions=self.objectives.directions,
                storage=None if storage is None else self.storage(storage),
                study_name=None if storage is None else self.name(pipeline),
                load_if_exists=True,
            )

    def name(self, pipeline: Pipeline) -> str:
        """A name for the study that all with the same settings and data share."""
        made = [*fingerprints(self.job(pipeline.fidelities[0])).values(), *map(proxy_identity, self.proxies)]
        every = json.dumps([self.settings(pipeline), pipeline.combination.as_dict(), made], sort_keys=True, default=str)
        return f"zerocost {self.space.name} {hashlib.sha256(every.encode()).hexdigest()[:12]}"

    def guide(self, pipeline: Pipeline) -> BatchGuide:
        """The score of architectures against a random sample of the space, at the first fidelity."""
        names = list(self.objectives.proxies)
        sizes = {name: self.quantities[name] for name in names if name in self.quantities}
        scored = judge(self.scorer(pipeline.fidelities[0]) if self.proxies else None, sizes)
        drawn = distinct(self.space, REFERENCE, np.random.default_rng(pipeline.seed))

        def framed(archs: list[Architecture]) -> pd.DataFrame:
            return pd.DataFrame([one.scores for one in scored(archs)], columns=names, dtype=float)

        combination = pipeline.combination
        if combination.reference is None:
            combination = combination.against(framed(drawn))
        return BatchGuide(lambda archs: combination(framed(archs)).tolist())

    def described(self, fidelity: Fidelity) -> str:
        """What is judged at a fidelity, in words."""
        names = [p.name for p in self.proxies] + [name for name in self.objectives.names if name in self.quantities]
        return ", ".join(dict.fromkeys(names)) + ("" if str(fidelity) == "full" else f" at {fidelity}")

    def settings(self, pipeline: Pipeline) -> dict[str, Any]:
        """Everything that the result depends on, as plain values."""
        plain = {
            "space": self.space.name,
            "strategy": pipeline.strategy if isinstance(pipeline.strategy, str) else type(pipeline.strategy).__name__,
            "proxies": ",".join(self.objectives.proxies),
            "objectives": ",".join(self.objectives.names),
            "limits": ", ".join(map(called, self.limits.functions)) or None,
            "hardware": None if pipeline.hardware is None else repr(pipeline.hardware),
            "accuracy": None if pipeline.accuracy is None else called(pipeline.accuracy),
            "combination": None if pipeline.plain else str(pipeline.combination),
            "batch": pipeline.fidelities[0].batch or pipeline.samples,
            "repeats": pipeline.repetitions,
            "where": pipeline.conditions,
            "fidelity": " > ".join(map(str, pipeline.fidelities)),
            "device": str(pipeline.device or "cpu"),
        }
        left_out = {"workers", *([] if ACCURACY in self.objectives.names else ["accuracy", "warmup", "moves"])}
        every = {field.name: getattr(pipeline, field.name) for field in fields(pipeline)} | plain
        versions = {"zerocost": VERSION, "torch": torch.__version__}
        return versions | {name: value for name, value in every.items() if name not in left_out and value is not None}

    def table(self, judged: Mapping[str, Judged], fidelity: Fidelity, seconds: float) -> ScoreTable:
        """What was judged as a score table, best first by the objectives."""
        made = {**self.provenance, "fidelity": str(fidelity)}
        cards = {text: ScoreCard(one.scores, one.failures, (), made) for text, one in judged.items()}
        builders = {text: partial(self.space.build, self.space.parse(text)) for text in judged}
        ranked = self.objectives.combination
        if ranked is None or self.objectives.names != (SCORE,):
            ranked = Combination(dict.fromkeys(self.objectives.columns, 1.0))
        columns = dict.fromkeys([*ranked.proxies, *(p.name for p in self.proxies), *self.quantities])
        table = ScoreTable.of(cards, builders, ranked, list(columns), seconds)
        fitness = self.objectives.fitness(table.frame).fillna(-np.inf)
        frame = table.frame.assign(rank_score=fitness).sort_values("rank_score", ascending=False, kind="stable")
        return ScoreTable(frame, ranked, cards, table.candidates, {}, seconds)


def named(where: str | None) -> list[str]:
    """The columns that a condition names."""
    return [name for part in parse_clauses(where) for name in part.names if name != "rank_score"] if where else []


def called(source: object) -> str:
    """What a function, or a table, is called in every process."""
    return repr(source) if isinstance(source, Benchmark) else getattr(source, "__name__", type(source).__name__)
