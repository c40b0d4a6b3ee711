"""Train the architectures of benchmark `digits` and write its table, `src/zerocost/benchmarks/digits.csv`.

    python bench/digits_benchmark.py TABLE.csv [--keep trainings.csv] [--workers 2]

500 architectures of space `cnn` for 8×8 pixels, drawn with seed 0, are trained from three seeds on the 150 images of
the hard digits (`zerocost.data.hard_digits`): AdamW in 8 epochs of 6 batches, one cycle of the learning rate up to
0.004 over the first 30 % of the steps and down along a cosine, gradients clipped to norm 1. A seed gives the initial
weights and the order of the images. Accuracies are percentages after the last epoch, on 647 images for validation and
1,000 for the test. All 1,500 trainings take about half an hour of one core.

A finished training is kept at once, so a run that was broken off goes on where it was.
"""

from __future__ import annotations

import csv
import math
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from rich.console import Console
from rich.progress import track
from torch import nn

import zerocost as zc
from zerocost.data.hard_digits import DigitParts, hard_digits
from zerocost.data.tensors import TensorData
from zerocost.scoring.candidates import initialise
from zerocost.spaces import distinct

EPOCHS, BATCHES, PEAK, WARM_UP = 8, 6, 0.004, 0.3
SPACE = zc.spaces.get("cnn", resolution=8)
COLUMNS = ("arch", "seed", "validation_accuracy", "test_accuracy", "params")
Training = tuple[str, int, float, float, int]


def learning_rate_share(step: int) -> float:
    """The share of the peak learning rate at a step, counted from 0."""
    progress = (step + 1) / (EPOCHS * BATCHES + 1)
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))


def fit(model: nn.Module, data: TensorData, seed: int) -> None:
    """Train `model`; `seed` orders the images."""
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_share)
    model.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(data), generator=order).tensor_split(BATCHES):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data.images[rows]), data.targets[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(model: nn.Module, data: TensorData) -> float:
    """Percentage of the images that are classified right."""
    model.eval()
    outputs = torch.cat([model(images) for images in data.images.split(100)])
    return 100 * float((outputs.argmax(1) == data.targets).double().mean())


@cache
def data() -> DigitParts:
    torch.set_num_threads(1)
    return hard_digits()


def train_architecture(task: tuple[str, int]) -> Training:
    """Train one architecture from one seed."""
    text, seed = task
    train, validation, test = data()
    model = initialise(partial(SPACE.build, SPACE.parse(text)), seed)
    fit(model, train, seed)
    size = sum(weights.numel() for weights in model.parameters())
    return text, seed, round(accuracy(model, validation), 2), round(accuracy(model, test), 2), size


def train_all(tasks: list[tuple[str, int]], workers: int) -> Iterator[Training]:
    """All trainings, in order."""
    if workers == 1:
        yield from map(train_architecture, tasks)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(train_architecture, tasks)


def benchmark_table(trainings: pd.DataFrame) -> pd.DataFrame:
    """One line an architecture, as `zerocost.benchmarks.csv_table` reads it: accuracies in the order of the seeds."""
    groups = trainings.sort_values("seed").groupby("arch", sort=False)
    spelt = {f"{name}_seeds": groups[name].agg(lambda v: " ".join(map(str, v))) for name in COLUMNS[2:4]}
    return pd.DataFrame(spelt | {"params": groups["params"].first()})


def main(
    to: Annotated[Path, typer.Argument(help="The table to write.")],
    keep: Annotated[Path, typer.Option(help="A file for finished trainings, where the next run goes on.")] = Path(
        "trainings.csv"
    ),
    n: Annotated[int, typer.Option("--n", min=1, help="Architectures.")] = 500,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each.")] = 3,
    workers: Annotated[int, typer.Option(min=1, help="Processes, with one thread each.")] = 1,
) -> None:
    """Train every architecture from every seed and write the table."""
    architectures = [str(arch) for arch in distinct(SPACE, n, np.random.default_rng(0))]
    done = pd.read_csv(keep) if keep.exists() else pd.DataFrame(columns=COLUMNS)
    known = set(zip(done["arch"], done["seed"], strict=True))
    tasks = [task for task in product(architectures, range(seeds)) if task not in known]
    with keep.open("a", newline="") as file:
        lines = csv.writer(file)
        if done.empty:
            lines.writerow(COLUMNS)
        console = Console(stderr=True)
        for training in track(train_all(tasks, workers), "training", total=len(tasks), console=console):
            lines.writerow(training)
            file.flush()
    made = pd.read_csv(keep)
    benchmark_table(made[made["arch"].isin(architectures) & (made["seed"] < seeds)]).loc[architectures].to_csv(to)
    Console().print(f"wrote {to}: {n} architectures, {seeds} seeds, torch {torch.__version__}")


if __name__ == "__main__":
    typer.run(main)
