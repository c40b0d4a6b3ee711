"""Real trainings of two tasks, each done once and kept, for searches that look them up.

    pip install vega_datasets   # ships the series of `weather`, as CSV; nothing is downloaded
    python bench/trainings.py digits FOLDER --n 200
    python bench/trainings.py weather FOLDER --n 120

`digits` has space `cnn`, 150 hard digits to train on and 647 to validate; `weather` has space `tcn` and the series of
`bench/tasks.py`. Architectures drawn at random are scored once, and trained from seed 0 as `zerocost.train` does: for
all epochs, whose curve is kept, and by schedules of their own of 1, 2 and 4 epochs. Then Optuna's TPE proposes
architectures by the metric alone, from five seeds, and these are trained too. At the end 20 of the architectures are
scored and trained again, for the processor time of each. The next run goes on in FOLDER.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
import torch
import typer
from rich.console import Console
from rich.progress import track
from torch import nn
from torch.utils.data import Dataset

import zerocost as zc
from tasks import DATA
from zerocost.combine import default
from zerocost.data.hard_digits import hard_digits
from zerocost.samplers.strategies import make_sampler, quiet_optuna
from zerocost.search.explore import Proposer, explore
from zerocost.search.fit_space import fit_space
from zerocost.search.measure import Measurement
from zerocost.search.objectives import Objectives
from zerocost.search.settings import Stopping
from zerocost.spaces import Architecture, SearchSpace
from zerocost.tasks import Task, classification, regression
from zerocost.train import Run

SHORT = (1, 2, 4)
MOST = 20
TIMED = 20
COLUMNS = ("arch", "epochs", "curve")


class Problem(NamedTuple):
    """A task: its data in two parts, what is searched, and how it is trained."""

    name: str
    fitting: Dataset[Any]
    validation: Dataset[Any]
    space: SearchSpace
    task: Task
    epochs: int

    def builders(self, texts: Sequence[str]) -> dict[str, Callable[[], nn.Module]]:
        """What builds these architectures."""
        return {text: partial(self.space.build, self.space.parse(text)) for text in texts}

    def score(self, texts: Sequence[str]) -> pd.DataFrame:
        """The scores of these architectures, by the proxies of the default, and their sizes."""
        proxies = list(dict.fromkeys([*default.proxies, "params"]))
        table = zc.rank(self.builders(texts), self.fitting, proxies, task=self.task, progress=False)
        return table.frame.loc[list(texts), [proxy for proxy in proxies if proxy in table.frame]]

    def train(self, texts: Sequence[str], epochs: int) -> list[Run]:
        """Train these architectures from seed 0."""
        options = {"task": self.task, "epochs": epochs, "progress": False, "device": "cpu"}
        return zc.train(self.builders(texts), train=self.fitting, validation=self.validation, **options)

    def seconds(self, texts: Sequence[str]) -> dict[str, float]:
        """The processor time of scoring an architecture, and of training it."""
        found: dict[str, float] = {}
        for name, work in {"score": self.score, "train": lambda texts: self.train(texts, self.epochs)}.items():
            work(texts[:1])  # what is done once
            start = time.process_time()
            work(texts)
            found[name] = (time.process_time() - start) / len(texts)
        return found


def problem(name: str, folder: Path) -> Problem:
    """The task of this name."""
    if name == "digits":
        parts = hard_digits()
        return Problem(name, *parts[:2], fit_space("cnn", parts.train, classification)[0], classification, 8)
    data = next(one for one in DATA if one.name == name)
    file = folder / f"{name}.csv"
    if not file.exists():
        data.make().to_csv(file, index=False)
    fitting, validation = zc.data.split(zc.data.load(data.source.format(file)), 0.2, seed=0)
    return Problem(name, fitting, validation, fit_space(data.space, fitting, regression)[0], regression, data.epochs)


class Trainings:
    """Trainings of a task from seed 0, each done once and kept in a file."""

    def __init__(self, problem: Problem, folder: Path) -> None:
        self.problem, self.file = problem, folder / f"{problem.name}-trainings.csv"
        if not self.file.exists():
            self.file.write_text(",".join(COLUMNS) + "\n")
        kept = pd.read_csv(self.file, keep_default_na=False)
        self.known = {
            (row.arch, row.epochs): [float(value) for value in row.curve.split()] for row in kept.itertuples()
        }

    def curve(self, text: str, epochs: int) -> list[float]:
        """The best value so far after each epoch of a training, more is better; the worst where it failed."""
        if (text, epochs) not in self.known:
            [run] = self.problem.train([text], epochs)
            values = [epoch.validation_metric for epoch in run.epochs]
            with self.file.open("a", newline="") as file:
                csv.writer(file).writerow([text, epochs, " ".join(map(repr, values))])
            self.known[text, epochs] = values
        sign = 1 if self.problem.task.higher_is_better else -1
        values = [sign * value for value in self.known[text, epochs]]
        values += [-math.inf] * (epochs - len(values))
        return list(np.maximum.accumulate(np.nan_to_num(values, nan=-math.inf)))


def tpe_order(space: SearchSpace, value: Callable[[str], float], seed: int) -> list[str]:
    """What Optuna's TPE tries, in order, when it is told nothing but what training gave."""

    def measure(archs: Sequence[Architecture]) -> Iterator[Measurement]:
        yield from (Measurement({"value": value(str(arch))}, {}) for arch in archs)

    with quiet_optuna():
        study = optuna.create_study(sampler=make_sampler("tpe", space, seed=seed), direction="maximize")
        proposer = Proposer(space, study, Objectives(("value",)), Stopping(candidates=MOST))
        return list(explore(proposer, measure).measured)


def main(
    name: str,
    folder: Path,
    n: Annotated[int, typer.Option("--n", min=10, help="Architectures.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Searches of TPE.")] = 5,
) -> None:
    """Score and train the architectures of a task."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    one = problem(name, folder)
    texts = [str(arch) for arch in zc.spaces.distinct(one.space, n, np.random.default_rng(0))]
    scored = folder / f"{name}-scores.csv"
    if not scored.exists():
        one.score(texts).rename_axis("arch").to_csv(scored)
    trainings = Trainings(one, folder)
    for epochs in (one.epochs, *SHORT):
        for text in track(texts, f"{name}, {epochs} epochs", console=Console(stderr=True)):
            trainings.curve(text, epochs)
    tried = {}
    for seed in track(range(seeds), f"{name}, TPE", console=Console(stderr=True)):
        tried[seed] = tpe_order(one.space, lambda text: trainings.curve(text, one.epochs)[-1], seed)
    (folder / f"{name}-tpe.json").write_text(json.dumps(tried))
    (folder / f"{name}-seconds.json").write_text(json.dumps(one.seconds(texts[:TIMED])))


if __name__ == "__main__":
    typer.run(main)
