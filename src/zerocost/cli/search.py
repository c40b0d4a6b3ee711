"""`zerocost search`: choose a space, score, filter, train the survivors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zerocost import pipeline, report, spaces
from zerocost.cli.common import (
    BAD_INPUT,
    INTERRUPTED,
    NOTHING_FOUND,
    Batch,
    Data,
    Device,
    Json,
    Proxies,
    Seed,
    checked_device,
    command,
    fail,
    nothing_ran,
    out,
    print_json,
    progress_bar,
)
from zerocost.cli.rank import as_dict
from zerocost.cli.tables import print_failures, print_ranking, print_training
from zerocost.errors import InputError
from zerocost.files import load
from zerocost.pipeline import SearchInterrupted, SearchResult
from zerocost.proxies.registry import resolve
from zerocost.spaces import Fidelity

DEFAULT = ",".join(pipeline.PROXIES)
SPACES = ", ".join(spaces.names())


@command
def search(
    data: Data,
    space: Annotated[
        str,
        typer.Option(help=f"A space by name ({SPACES}), or FILE.py:NAME."),
    ] = "cnn",
    candidates: Annotated[int, typer.Option(min=1, help="Architectures to draw and score.")] = 200,
    proxies: Proxies = DEFAULT,
    where: Annotated[str | None, typer.Option(help="Conditions on scores, such as 'params < 2e6'.")] = None,
    keep: Annotated[int, typer.Option(min=1, help="Survivors to train.")] = 5,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of training; 0 stops after the filter.")] = 8,
    training_seeds: Annotated[int, typer.Option(min=1, help="Trainings of each survivor.")] = 1,
    fidelity: Annotated[
        str, typer.Option(help="Score smaller siblings: full, or settings such as width=0.5,resolution=16.")
    ] = "full",
    batch: Batch = 64,
    seed: Seed = 0,
    device: Device = "cpu",
    workdir: Annotated[
        Path | None, typer.Option(help="Keep trainings here; the same command goes on after a break.")
    ] = None,
    report_to: Annotated[Path | None, typer.Option("--report", help="Write an HTML report here.")] = None,
    as_json: Json = False,
) -> None:
    """Search a space: score many architectures untrained, keep the best, train only those."""
    chosen = resolve(proxies)
    scale = Fidelity.parse(fidelity)
    place = checked_device(device)
    where_to_look: Any = load(space) if ":" in space else space
    if report_to is not None and not report_to.resolve().parent.is_dir():
        raise InputError(f"cannot write the report: there is no folder {report_to.resolve().parent}")
    interrupted = False
    with progress_bar({"score": "scoring", "train": "training, epochs"}) as progress:
        try:
            result = pipeline.search(
                where_to_look,
                data,
                candidates=candidates,
                proxies=chosen,
                where=where,
                keep=keep,
                epochs=epochs,
                training_seeds=training_seeds,
                batch=batch,
                fidelity=scale,
                seed=seed,
                device=place,
                workdir=workdir,
                progress=progress,
            )
        except SearchInterrupted as stop:
            result, interrupted = stop.result, True
    if report_to is not None:
        report.write(result, report_to)
    if as_json:
        print_json(summary(result))
    else:
        show(result)
        if report_to is not None:
            out.print(f"report: {report_to}", highlight=False, soft_wrap=True)
    if interrupted:
        fail("interrupted; what was done until then is above", INTERRUPTED)
    if nothing_ran(chosen, result.table.scored):
        fail(f"no candidate could be scored: {result.table.failures['reason'].iloc[0]}", BAD_INPUT)
    if not len(result.kept):
        reason = next(iter(result.kept.dropped.values()), "no candidates")
        fail(f"no candidate passed the filter, so nothing was trained; the best one: {reason}", NOTHING_FOUND)


def show(result: SearchResult) -> None:
    """The stages, the survivors and what they were worth."""
    for stage in result.stages:
        out.print(
            f"{stage.name:<8}{stage.count:>6}  {stage.seconds:7.1f} s  {stage.detail}", highlight=False, markup=False
        )
    print_failures(result.table)
    if len(result.kept):
        print_ranking(result.kept, f"survivors, {len(result.kept)} of {len(result.table)}")
    for run in (*result.survivors, *result.random):
        if run.failure:
            out.print(f"training {run.name} (seed {run.seed}) failed: {run.failure}", markup=False, highlight=False)
    if result.survivors:
        print_training(result.survivors, result.random)
    if result.best:
        out.print(f"best: {result.best}", highlight=False, markup=False, soft_wrap=True)


def summary(result: SearchResult) -> dict[str, object]:
    """A search as plain values."""
    return {
        "settings": result.settings,
        "stages": [vars(stage) for stage in result.stages],
        **as_dict(result.kept, result.table),
        "survivors": [run.to_dict() for run in result.survivors],
        "random": [run.to_dict() for run in result.random],
        "best": result.best,
    }
