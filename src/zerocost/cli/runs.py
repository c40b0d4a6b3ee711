"""Trainings in the terminal: their options, and their results as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import pandas as pd
import typer
from rich.markup import escape
from rich.table import Table

from zerocost.base.files import check_folder
from zerocost.base.format import number, plural, seconds
from zerocost.cli.options import MetricName
from zerocost.cli.output import out, print_line
from zerocost.cli.tables import metric_cell, metric_title
from zerocost.scoring.table import ScoreTable
from zerocost.train.run import Run
from zerocost.train.tracking import LOGGERS, check_logger


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How networks are trained."""

    epochs: Annotated[int, typer.Option(min=1, help="Epochs of training.")] = 10
    metric: MetricName = None
    logger: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:PLACE]",
            help=f"Track each training as a run: {', '.join(LOGGERS)}, with a place after a colon, as in csv:logs or "
            "mlflow:sqlite:///mlflow.db.",
        ),
    ] = None
    workdir: Annotated[
        Path | None, typer.Option(help="Folder to keep trainings in, with their weights, to go on after a break.")
    ] = None

    def __post_init__(self) -> None:
        check_logger(self.logger)
        check_folder(self.workdir)


def mean_metrics(runs: Sequence[Run]) -> dict[str, float]:
    """The mean metric of each candidate over its seeds, best first; NaN, at the end, for one of which a run failed."""
    sign = -1 if runs and runs[0].higher_is_better else 1
    own = {run.name: [one.metric for one in runs if one.name == run.name and one.ended_well] for run in runs}
    counts = {name: sum(run.name == name for run in runs) for name in own}
    known = {name: [value for value in values if value is not None] for name, values in own.items()}
    means = {n: fmean(values) if len(values) == counts[n] else math.nan for n, values in known.items()}
    return dict(sorted(means.items(), key=lambda pair: math.inf if math.isnan(pair[1]) else sign * pair[1]))


def with_metric(table: ScoreTable, runs: Sequence[Run]) -> ScoreTable:
    """The table with a column more, the metric of those that were trained."""
    if not runs:
        return table
    return replace(table, frame=table.frame.assign(**{runs[0].metric_name: pd.Series(mean_metrics(runs), dtype=float)}))


def print_runs(runs: Sequence[Run], scores: Mapping[str, float] | None = None) -> None:
    """The metric of every training, a row a candidate, best first; beside it the scores, where there are any."""
    means, trained = mean_metrics(runs), {(run.name, run.seed): run for run in runs}
    drawn = sorted({run.seed for run in runs})
    name, heading = runs[0].metric_name, f"trained, best first by {metric_title(runs[0])}"
    out.print(f"\n[bold]{plural(len(means), 'candidate')} {heading}[/bold]", highlight=False)
    shown = Table("", box=None, pad_edge=False)
    shown.add_column("candidate", overflow="fold")
    titles = ["rank_score"] * bool(scores) + ([f"seed {seed}" for seed in drawn] if len(drawn) > 1 else [])
    for title in [*titles, "mean" if len(drawn) > 1 else name, "epochs", "time"]:
        shown.add_column(title, justify="right")
    for place, (candidate, mean) in enumerate(means.items(), start=1):
        own = [trained[candidate, seed] for seed in drawn if (candidate, seed) in trained]
        each = [_run_cell(trained.get((candidate, seed))) for seed in drawn] if len(drawn) > 1 else []
        score = [number(scores[candidate])] if scores else []
        mean_text = "failed" if math.isnan(mean) else metric_cell(name, mean)
        epochs = ", ".join(dict.fromkeys(str(len(run.epochs)) for run in own))
        time = seconds(sum(run.seconds for run in own))
        shown.add_row(str(place), escape(candidate), *score, *each, mean_text, epochs, time)
    out.print(shown)
    print_failed_runs(runs)
    kept = [run for run in runs if run.name == next(iter(means)) and run.ended_well and run.checkpoint is not None]
    if kept:
        best = (max if runs[0].higher_is_better else min)(kept, key=lambda run: run.metric or 0.0)
        print_line(f"weights of the best: {best.checkpoint}")


def print_failed_runs(runs: Iterable[Run]) -> None:
    """The trainings that failed, with the reason; one that was a survivor and a random pick is told once."""
    for run in {(run.name, run.seed): run for run in runs}.values():
        if run.failure:
            line = f"training {run.name} (seed {run.seed}) failed: {run.failure}"
            print_line(line)


def _run_cell(run: Run | None) -> str:
    """The metric of one training."""
    if run is None or not run.ended_well or run.metric is None:
        return "—" if run is None else "failed"
    return metric_cell(run.metric_name, run.metric)
