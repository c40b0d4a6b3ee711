"""`zerocost train`: candidates of one's own, to the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from zerocost.base.interrupt import INTERRUPTED
from zerocost.cli.candidates import Target, load_candidates
from zerocost.cli.expand import command, vars_of
from zerocost.cli.options import Data, Json, Ray, TaskOptions, Workers
from zerocost.cli.output import TableFiles, print_json, then_written
from zerocost.cli.runs import TrainingOptions, mean_metrics, print_runs
from zerocost.cli.shell import BAD_INPUT, fail
from zerocost.train.run import TrainingInterrupted, frame
from zerocost.train.trainer import train as train_candidates


@dataclass(frozen=True, kw_only=True)
class _TrainOptions(TaskOptions, TrainingOptions):
    """How networks are trained."""

    validation: Annotated[
        str | None, typer.Option(help="Data to validate on, as --data. By default a fifth of the data is held out.")
    ] = None
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each candidate, with seeds 0, 1, ….")] = 1
    batch_size: Annotated[int, typer.Option(min=1, help="Samples a step.")] = 64
    learning_rate: Annotated[float, typer.Option(help="Peak of the learning rate.")] = 3e-3
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many epochs without a better metric.")
    ] = None
    device: Annotated[
        str | None, typer.Option(help="Where to train: cpu, cuda, cuda:1, mps. By default the accelerator, if any.")
    ] = None
    workers: Workers = None
    ray: Ray = None


@command
def train(target: Target, data: Data, options: _TrainOptions, files: TableFiles, as_json: Json = False) -> None:
    """Train candidates, each from every seed; a fifth of the data is held out, and judges them."""
    files.check()
    candidates, source = load_candidates(target, data, options.task)
    settings: dict[str, Any] = vars_of(options) | {"seeds": range(options.seeds)}
    interrupted = False
    try:
        runs = train_candidates(candidates, train=source, **settings)
    except TrainingInterrupted as stop:
        runs, interrupted = stop.runs, True
    trained = [run for run in runs if run.ended_well]
    with then_written(lambda: files.writes(frame(runs)) if trained else [], as_json):
        if as_json:
            best = next(iter(mean_metrics(runs)), None) if trained else None
            print_json({"runs": [run.to_dict() for run in runs], "best": best})
        elif trained:
            print_runs(runs)
    if interrupted:
        fail(f"interrupted; trainings that ended until then: {len(runs)}", INTERRUPTED)
    if not trained:
        fail(f"no candidate could be trained: {runs[0].failure}", BAD_INPUT)
