"""What a search comes down to for its data: the space, what is measured of an architecture, and the limits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from zerocost import data as data_
from zerocost.base.conditions import parse_clauses
from zerocost.base.fidelity import check_space
from zerocost.base.format import name_of
from zerocost.base.resize import check_no_larger
from zerocost.base.shared_pool import SharedPool
from zerocost.base.version import VERSION
from zerocost.base.workers import Workers
from zerocost.benchmarks.base import Benchmark
from zerocost.combine import Combination, as_proxies, log_rank
from zerocost.data.balance import class_labels
from zerocost.engine.losses import IGNORED
from zerocost.engine.proxy import Proxy
from zerocost.proxies.registry import portable_proxies, resolve
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.run.job import in_workers
from zerocost.scoring.candidates import Builder
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.notes import fidelity_notes
from zerocost.scoring.table import ScoreTable, score_frame
from zerocost.search.accuracy import DataSplit, trained_metric
from zerocost.search.costs import accuracy_function, latency_cost, table_costs
from zerocost.search.fit_space import fit_space
from zerocost.search.latency_sources import latency_meter
from zerocost.search.limits import Limits, split_conditions
from zerocost.search.measure import Measure, Measurement, measure_function
from zerocost.search.objectives import SCORE, Objectives
from zerocost.search.own_costs import own_cost
from zerocost.search.search_settings import SearchSettings
from zerocost.search.shared_sizes import Counting, counting
from zerocost.search.sizes import SIZE_PROXIES, Cost
from zerocost.spaces import Fidelity, SearchSpace
from zerocost.spaces.own_code import own_code
from zerocost.store import Store


@dataclass(frozen=True)
class SearchPlan:
    """Everything that is measured of an architecture, and how.

    Attributes:
        pipeline: the settings.
        space: what is searched.
        sizes: what a shipped space was made for, as `spaces.get` takes it.
        split: the data.
        objectives: what is wanted.
        proxies: those that are scored; costs are not among them.
        costs: what needs no score and is asked of every architecture: costs, and the accuracy where it is wanted.
        limits: what an architecture must keep to before it is measured.
        where: the conditions that are left for the filter.
        sample: the inputs of one sample.
        shared: the worker processes that score and count.
        counting: how sizes are counted.
        store: keeps the scores.
        stack: closes what was opened for the search when it ends.
    """

    pipeline: SearchSettings
    space: SearchSpace
    sizes: dict[str, Any]
    split: DataSplit
    objectives: Objectives
    proxies: tuple[Proxy, ...]
    costs: Mapping[str, Cost]
    limits: Limits
    where: str | None
    sample: Any
    shared: SharedPool
    counting: Counting
    store: Store
    stack: ExitStack

    def job(self, fidelity: Fidelity) -> Job:
        """What is scored at a fidelity."""
        pipeline = self.pipeline
        seeds = range(pipeline.seed, pipeline.seed + (fidelity.repeats or pipeline.repeat_count))
        data, size = self.split.fitting, pipeline.batch_size(self.split.fitting)
        batches = draw_job_batches(data, seeds, size, 1, False, fidelity)
        given = portable_proxies(as_proxies(pipeline.proxies))
        proxies = tuple(given.get(p.name, p.name) for p in self.proxies)
        device = None if pipeline.device is None else pipeline.device_name
        return Job(self.space, proxies, batches, fidelity, device, self.split.task)

    def measure(self, fidelity: Fidelity, costs: Mapping[str, Cost] | None = None) -> Measure:
        """Measures architectures at a fidelity: the proxies, and these costs, all if None."""
        costs, scorer, workers = self.costs if costs is None else costs, None, self.shared.workers
        if self.proxies:
            job = self.job(fidelity)
            shared = None if workers.in_process else self.shared.part(str(fidelity), in_workers(job))
            made = Scorer(job, store=self.store, workers=workers.number, ray=workers.ray, shared=shared)
            scorer = self.stack.enter_context(made)
        sizes = [name for name in costs if name in SIZE_PROXIES]
        begin = None if workers.in_process else lambda archs: self.counting.begin(archs, sizes)
        return measure_function(scorer, costs, begin)

    def describe(self, fidelity: Fidelity) -> str:
        """What is measured at a fidelity, in words; costs are always those of the full networks."""
        named = dict.fromkeys([*self.objectives.proxies, *self.objectives.names])
        scores = ", ".join(p.name for p in self.proxies)
        costs = ", ".join(name for name in named if name in self.costs)
        if str(fidelity) == "full":
            return ", ".join(filter(None, (scores, costs)))
        return "; ".join([f"{scores} at {fidelity}"] * bool(scores) + [f"{costs} of the full networks"] * bool(costs))

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that the result depends on, as plain values."""
        pipeline = self.pipeline
        texts = {
            "space": self.space.name,
            "strategy": pipeline.strategy_name,
            "proxies": ",".join(self.objectives.proxies),
            "objectives": ",".join(self.objectives.names),
            "limits": ", ".join(map(_source_name, self.limits.functions)) or None,
            "latency": getattr(pipeline.latency, "__name__", str(pipeline.latency)),
            "hardware": None if pipeline.hardware is None else repr(pipeline.hardware),
            "accuracy": None if pipeline.accuracy is None else _source_name(pipeline.accuracy),
            "combination": _combination_text(pipeline.combination),
            "batch": pipeline.fidelities[0].batch or pipeline.batch_size(self.split.fitting),
            "repeats": pipeline.repeat_count,
            "where": pipeline.conditions,
            "fidelity": " > ".join(map(str, pipeline.fidelities)),
            "device": pipeline.device_name,
            "validation_samples": _validation_samples(self.split),
        }
        task = self.split.task
        texts |= {"task": task.name, "loss": task.loss_name, "metric": task.metric_name}
        texts["output"] = None if task.output is None else _source_name(task.output)
        unused = [] if pipeline.trained_objective else ["accuracy", "warmup", "moves"]
        left_out = {"workers", "ray", "logger", *unused}
        every = {one.name: getattr(pipeline, one.name) for one in fields(pipeline)} | texts
        versions = {"zerocost": VERSION, "torch": torch.__version__}
        return versions | {name: value for name, value in every.items() if name not in left_out and value is not None}

    def table(self, measured: Mapping[str, Measurement], fidelity: Fidelity, seconds: float) -> ScoreTable:
        """What was measured as a score table, best first by the objectives."""
        provenance = {
            "zerocost": VERSION,
            "torch": torch.__version__,
            "seed": self.pipeline.seed,
            "device": self.pipeline.device_name,
            "fidelity": str(fidelity),
            "task": self.split.task.name,
            "loss": self.split.task.loss_name,
        }
        objectives, columns = self.objectives, self.objectives.columns
        cards = {text: ScoreCard(one.scores, one.failures, (), provenance) for text, one in measured.items()}
        build, parse = self.space.build, self.space.parse
        builders: dict[str, Builder | nn.Module] = {text: partial(build, parse(text)) for text in measured}
        frame = score_frame(cards, dict.fromkeys([*columns, *(p.name for p in self.proxies), *self.costs]))
        if len(objectives.names) > 1:  # ties, such as the two ends of a front, go by the log-rank sum
            frame = frame.loc[log_rank(frame[columns]).sort_values(ascending=False, kind="stable").index]
        elif objectives.combination and SCORE in objectives.names:  # and those beyond a reference by their own ranks
            frame = frame.loc[objectives.combination.order_of_equals(frame)]
        frame["rank_score"] = objectives.fitness(frame).fillna(-np.inf)
        frame = frame.sort_values("rank_score", ascending=False, kind="stable")
        combination = objectives.combination or self.pipeline.combination
        batch, instead = self.pipeline.batch_size(self.split.fitting), combination.made.get("in_place_of")
        return ScoreTable(
            frame,
            combination,
            cards,
            builders,
            seconds=seconds,
            ranked_by=objectives.ranking,
            proxies=columns,
            notes=fidelity_notes(columns, fidelity, batch, str(combination), instead),
        )


def make_plan(pipeline: SearchSettings, split: DataSplit, store: Store, stack: ExitStack) -> SearchPlan:
    """The plan of a pipeline for its data; what it opens ends with the stack.

    Raises:
        InputError: names that nobody knows, or data that cannot be used.
    """
    space, sizes = fit_space(pipeline.space, split.fitting, split.task)
    check_space(pipeline.fidelity, space.name, own_code(space))
    sample = data_.draw(split.fitting, 1, seed=pipeline.seed).inputs
    for fidelity in pipeline.fidelities:
        check_no_larger(sample, fidelity)
    device = None if pipeline.device is None else pipeline.device_name
    shared = stack.enter_context(closing(SharedPool(Workers(pipeline.workers, pipeline.ray, device))))
    sizes_counted = counting(shared, space, sample, split.task.output)
    looked_up = table_costs(pipeline.hardware) if pipeline.hardware is not None else {}
    meter = latency_meter(pipeline.latency, pipeline.device_name)
    own = {name: own_cost(function) for name, function in pipeline.own_costs.items()}
    costs = {**looked_up, **sizes_counted.costs, **own, "latency": latency_cost(space, sample, store, meter)}
    limits, where = split_conditions(pipeline.conditions, costs)
    if pipeline.trained_objective:
        costs[pipeline.trained_objective] = accuracy_function(
            pipeline.accuracy or partial(trained_metric, space, split, pipeline.epochs, pipeline.device)
        )
    columns = _columns_to_measure(pipeline, where)
    needed = {"params", *columns, *_columns_in(limits)}
    combination = replace(pipeline.combination, batch=pipeline.batch_size(split.fitting), repeats=pipeline.repeat_count)
    return SearchPlan(
        pipeline=pipeline,
        space=space,
        sizes=sizes,
        split=split,
        objectives=Objectives(pipeline.objective_names, combination),
        proxies=_proxies_to_score(pipeline, columns, costs),
        costs={name: cost for name, cost in costs.items() if name in needed},
        limits=Limits(limits, costs, pipeline.limit_functions),
        where=where,
        sample=sample,
        shared=shared,
        counting=sizes_counted,
        store=store,
        stack=stack,
    )


def _validation_samples(split: DataSplit) -> int:
    """The validation samples that an accuracy is of: classes of `IGNORED`, where the data lists them, do not count."""
    labels = class_labels(split.validation) if split.task.name == "classification" else None
    return len(split.validation) if labels is None else int((labels != IGNORED).sum())  # type: ignore[arg-type]


def _columns_to_measure(pipeline: SearchSettings, where: str | None) -> list[str]:
    """The objectives, the proxies of "score" where it is used, and what the conditions of the filter name."""
    names = pipeline.objective_names
    ranked = [p.name for p in resolve(as_proxies(pipeline.proxies))] if SCORE in names or pipeline.guided else []
    return list(dict.fromkeys([*names, *ranked, *_columns_in(where)]))


def _proxies_to_score(pipeline: SearchSettings, columns: Iterable[str], costs: Collection[str]) -> tuple[Proxy, ...]:
    """The columns that are proxies."""
    ranked = resolve(as_proxies(pipeline.proxies))
    further = [name for name in columns if name not in (SCORE, *costs)]
    chosen = {p.name: p for p in (*ranked, *(resolve(further) if further else ()))}
    return tuple(chosen[name] for name in columns if name in chosen and name not in costs)


def _columns_in(where: str | None) -> list[str]:
    """The columns that a condition names."""
    return [name for part in parse_clauses(where) for name in part.names if name != "rank_score"] if where else []


def _combination_text(combination: Combination) -> str | None:
    """A combination in words; None for the log-rank sum of equal weights, which the names of its proxies tell."""
    usual = combination.equal and combination.method == "log_rank" and combination.reference is None
    return None if usual else str(combination)


def _source_name(source: object) -> str:
    """The name of a function, of a table or of an output, the same in every process."""
    if isinstance(source, Benchmark | str | int):
        return repr(source)
    return name_of(source)
