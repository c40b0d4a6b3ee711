"""Do proposals between the rounds of training help? A search of fixed candidates beside one that goes on proposing.

    python bench/follow.py SCORES TRUTHS [--tables nasbench201,macro] [--seeds 20]

SCORES holds what `bench/ranking.py score` wrote, and for NAS-Bench-201 `bench/loop.py score`; TRUTHS the benchmarks'
files. Each search scores as many candidates and
trains 20 of them, by looking their accuracy up: drawn at random, proposed by evolution from the scores, or half of them
so and half between the rounds, by what is expected. NAS-Bench-201 is searched whole, with 200 candidates. The other
tables are samples of their spaces: there a search is confined to the table and scores half of it, and a mutation is one
of the five nearest of the table by encoding. The sample of DARTS has cells that its space does not propose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import typer
from torch import nn

import nasbench201_scores as known
import zerocost as zc
from loop import COUNTS
from tables import open_table, read_scores
from zerocost.search import stages
from zerocost.search.accuracy import DataSplit
from zerocost.search.follow import Follower
from zerocost.search.loop import train_by_learning
from zerocost.search.measure import Measure, Measurement
from zerocost.search.pipeline import Pipeline
from zerocost.search.plan import SearchPlan, make_plan
from zerocost.spaces import FULL, Architecture, Fidelity, SearchSpace
from zerocost.spaces.base import Vector
from zerocost.spaces.choose import Choose
from zerocost.store import Store
from zerocost.train import Epoch, Run

NEAREST = 5
TABLES = ("nasbench201", "macro", "digits", "transnas_micro", "transnas_macro")
WAYS = {
    "random": ("random", False),
    "evolution, all before training": ("evolution", False),
    "evolution, half of them by expectation": ("evolution", True),
}


class Table(SearchSpace):
    """The architectures of a table, as a space of their own."""

    def __init__(self, space: SearchSpace, texts: Sequence[str]) -> None:
        self.space, self.name, self.size = space, space.name, len(texts)
        self.built_for = space.built_for
        self.archs = [space.parse(text) for text in texts]
        self.points = np.stack([space.encode(arch) for arch in self.archs])

    def nearest(self, arch: Architecture) -> list[Architecture]:
        """All others, the nearest first."""
        order = np.argsort(((self.points - self.space.encode(arch)) ** 2).sum(1), kind="stable")
        return [self.archs[i] for i in order if str(self.archs[i]) != str(arch)]

    def sample(self, rng: np.random.Generator) -> Architecture:
        return self.archs[rng.integers(len(self.archs))]

    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        yield from self.nearest(arch)

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        return self.nearest(arch)[rng.integers(NEAREST)]

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        return self.nearest(self.space.crossover(a, b, rng))[0]

    def __iter__(self) -> Iterator[Architecture]:
        yield from self.archs

    def choose(self, choose: Choose) -> Architecture:
        return self.space.choose(choose)

    def encode(self, arch: Architecture) -> Vector:
        return self.space.encode(arch)

    def parse(self, text: str) -> Architecture:
        return self.space.parse(text)

    def build(self, arch: Architecture, fidelity: Fidelity = FULL) -> nn.Module:
        return self.space.build(arch, fidelity)

    def canonical(self, arch: Architecture) -> str:
        return self.space.canonical(arch)


@dataclass(frozen=True, kw_only=True)
class LookedUp(SearchPlan):
    """A search whose scores are looked up."""

    rows: dict[str, dict[str, float]]

    def measure(self, fidelity: Fidelity, costs: Any = None) -> Measure:
        return lambda archs: (Measurement(self.rows[self.space.canonical(arch)], {}) for arch in archs)


def _key(space: SearchSpace) -> Callable[[str], str]:
    """What twins share, and other spellings of a text."""
    return cache(lambda text: space.canonical(space.parse(text)))


def trained(
    pipeline: Pipeline, rows: dict[str, dict[str, float]], accuracy: dict[str, float], follow: bool
) -> list[str]:
    """What a search trains, in order."""
    order: list[str] = []
    key = _key(pipeline.space)

    def look_up(names: list[str]) -> list[Run]:
        order.extend(map(key, names))
        return [Run.of(name, 0, [Epoch(1, 0.0, 0.0, accuracy[key(name)], 0.0)]) for name in names]

    with ExitStack() as stack:
        parts = zc.data.split(zc.data.load("noise:3x32x32"), 0.2, seed=0)
        split = DataSplit(*parts, None)
        made = make_plan(pipeline, split, stack.enter_context(Store(None)), stack)
        plan = LookedUp(**{one.name: getattr(made, one.name) for one in fields(made)}, rows=rows)
        before = stages.follows
        stages.follows = lambda plan, storage: before(plan, storage) and follow  # type: ignore[assignment]
        try:
            result, explored = stages.explore_and_refine(plan, None, lambda *_: None)
        finally:
            stages.follows = before
        train_by_learning(plan, result, look_up, Follower(explored, result) if follow else None)
    return order


class Searched(NamedTuple):
    """What is searched, how many candidates are scored, and by canonical key their scores and accuracies."""

    space: SearchSpace
    candidates: int
    scores: pd.DataFrame
    accuracy: pd.Series[float]


def searched(name: str, scores: Path, truths: Path) -> Searched:
    """The search of a table."""
    found, benchmark = read_scores(name, scores), open_table(name, truths)
    space, truth = benchmark.space, benchmark.truth(**benchmark.default._asdict()).dropna()
    truth = truth[truth.index.isin(found.index)]
    keys = truth.index.map(_key(space))
    first = ~keys.duplicated()
    found = found.loc[truth.index].set_axis(keys)[first]
    whole = name == "nasbench201"
    return Searched(
        space if whole else Table(space, list(truth.index[first])),
        200 if whole else int(first.sum()) // 2,
        found,
        truth.set_axis(keys)[first],
    )


def main(
    scores: Path,
    truths: Path,
    wanted: Annotated[str, typer.Option("--tables", help="Which tables.")] = ",".join(TABLES),
    seeds: Annotated[int, typer.Option(min=2, help="Searches of each kind.")] = 20,
) -> None:
    """Regret (the best of the table less the best trained) after 5, 10 and 20 trainings, Markdown."""
    print("| table | candidates | way | " + " | ".join(map(str, COUNTS)) + " |\n|---|---|---|" + "---|" * len(COUNTS))
    for name in wanted.split(","):
        space, candidates, found, truth = searched(name, scores, truths)
        rows, accuracy = found.to_dict("index"), truth.to_dict()
        for way, (strategy, follow) in WAYS.items():
            regrets = []
            for seed in range(seeds):
                pipeline = Pipeline(space, strategy=strategy, candidates=candidates, trainings=max(COUNTS), seed=seed)
                order = trained(pipeline, rows, accuracy, follow)
                regrets.append([truth.max() - truth[order[:count]].max() for count in COUNTS])
            cells = [known.mean_with_interval(column) for column in zip(*regrets, strict=True)]
            print(f"| {name} | {candidates:,} | {way} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
