"""`zerocost search`: choose a space, score, filter, train the survivors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from zerocost import benchmarks, report, spaces
from zerocost.base.device import check_device
from zerocost.base.errors import InputError, unknown
from zerocost.benchmarks import Benchmark
from zerocost.cli.common import (
    BAD_INPUT,
    INTERRUPTED,
    NOTHING_FOUND,
    Data,
    Device,
    Explain,
    Json,
    OwnBatch,
    Proxies,
    Repeats,
    Seed,
    command,
    fail,
    nothing_ran,
    out,
    print_json,
    progress_bar,
)
from zerocost.cli.rank import as_dict
from zerocost.cli.tables import accuracies, print_explanation, print_failures, print_ranking, print_training
from zerocost.combine import as_proxies
from zerocost.engine.proxy import Proxy
from zerocost.proxies.registry import resolve
from zerocost.search import export as export_
from zerocost.search import pipeline
from zerocost.search.objectives import SCORE
from zerocost.search.pipeline import SearchInterrupted, SearchResult
from zerocost.train.run import Run

SPACES = ", ".join(spaces.names())
STRATEGIES = "random, evolution, local, reinforce, gradient, tpe, nsga2, cmaes or gp"
FORMATS = "state, torchscript, onnx"
GO_ON = "the same command goes on after a break"


@command
def search(
    data: Data,
    space: Annotated[
        str,
        typer.Option(help=f"A space by name ({SPACES}), or FILE.py:NAME."),
    ] = "cnn",
    strategy: Annotated[str, typer.Option(help=f"What proposes architectures: {STRATEGIES}.")] = "random",
    candidates: Annotated[int, typer.Option(min=1, help="Architectures to score.")] = 200,
    proxies: Proxies = "default",
    objectives: Annotated[
        str, typer.Option(help="What is wanted: score, accuracy, proxies; or sizes and latency, which are made small.")
    ] = "score",
    where: Annotated[
        str | None,
        typer.Option(help="Conditions, such as 'params < 2e6 and latency < 5 and snip > 0'; sizes are checked first."),
    ] = None,
    hardware: Annotated[
        Path | None, typer.Option(help="A table of the benchmark of this space, with latencies and energies.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Look the objective accuracy up in this table instead of training.")
    ] = None,
    warmup: Annotated[
        int, typer.Option(min=0, help="With objective accuracy: start from the best by score of so many.")
    ] = 0,
    moves: Annotated[
        int, typer.Option(min=1, help="With objective accuracy: take the best by score of so many moves.")
    ] = 1,
    trials: Annotated[int | None, typer.Option(min=1, help="Stop after so many proposals of any kind.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop proposing after so much time.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop when so many architectures in a row brought nothing better.")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="Survivors to train.")] = 5,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of training; 0 stops after the filter.")] = 8,
    training_seeds: Annotated[int, typer.Option(min=1, help="Trainings of each survivor.")] = 1,
    halving: Annotated[bool, typer.Option("--halving", help="Train by successive halving.")] = False,
    fidelity: Annotated[
        str | None,
        typer.Option(
            help="Score smaller siblings: settings such as width=0.5,resolution=16; with 'width=0.5 > full' the best "
            "are scored again. Full size, or as tuned."
        ),
    ] = None,
    reduction: Annotated[int, typer.Option(min=2, help="One in how many is scored again at the next fidelity.")] = 4,
    batch: OwnBatch = None,
    repeats: Repeats = None,
    seed: Seed = 0,
    device: Device = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes to score in.")] = 1,
    store: Annotated[
        str | None, typer.Option(help=f"Keep scores in this file or postgresql://… database; {GO_ON}.")
    ] = None,
    study_storage: Annotated[
        str | None, typer.Option(help="Database of Optuna's study, for its dashboard and for several processes.")
    ] = None,
    workdir: Annotated[Path | None, typer.Option(help=f"Keep trainings here; {GO_ON}.")] = None,
    export: Annotated[Path | None, typer.Option(help="Write the best network to this folder.")] = None,
    formats: Annotated[str, typer.Option(help=f"What to write there: {FORMATS}.")] = "state",
    report_to: Annotated[Path | None, typer.Option("--report", help="Write an HTML report here.")] = None,
    explain: Explain = False,
    as_json: Json = False,
) -> None:
    """Search a space: score many architectures untrained, keep the best, train only those."""
    chosen = resolve(as_proxies(proxies))
    check_device(device)
    own = ":" in space
    chosen_formats = checked_formats(formats)
    if report_to is not None and not report_to.resolve().parent.is_dir():
        raise InputError(f"cannot write the report: there is no folder {report_to.resolve().parent}")
    if export is not None and not epochs:
        raise InputError("there is nothing to export without training; use --epochs 1 or more")
    settings: dict[str, Any] = {
        "hardware": table_of(space, hardware),
        "accuracy": table_of(space, truth),
        "strategy": strategy,
        "candidates": candidates,
        "proxies": proxies,
        "objectives": objectives,
        "where": where,
        "warmup": warmup,
        "moves": moves,
        "trials": trials,
        "seconds": seconds,
        "patience": patience,
        "keep": keep,
        "epochs": epochs,
        "training_seeds": training_seeds,
        "halving": halving,
        "fidelity": fidelity,
        "reduction": reduction,
        "batch": batch,
        "repeats": repeats,
        "seed": seed,
        "device": device,
        "workers": workers,
    }
    kept = workdir or (export / "trainings" if export else None)
    interrupted = False
    with progress_bar({"score": "scoring", "train": "training, epochs"}) as progress:
        try:
            result = pipeline.search(
                export_.own_space(space) if own else space,
                data,
                store=store,
                study_storage=study_storage,
                workdir=kept,
                progress=progress,
                **settings,
            )
        except SearchInterrupted as stop:
            result, interrupted = stop.result, True
    written = [] if report_to is None else [report.write(result, report_to)]
    if export is not None and result.best:
        written += result.export(export, chosen_formats, space=space if own else None).values()
    if as_json:
        print_json(summary(result))
    else:
        show(result)
        if explain and SCORE in result.objectives:
            print_explanation(result.table, result.kept, result.combination)
        elif explain:
            out.print("nothing is ranked by a combination of proxies here, so there is none to explain", style="dim")
        for path in written:
            out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
    if interrupted:
        fail("interrupted; what was done until then is above", INTERRUPTED)
    explain_nothing(result, chosen)


def explain_nothing(result: SearchResult, chosen: Sequence[Proxy]) -> None:
    """Fail where a search ended without a survivor, and say why."""
    if not len(result.table):
        reason = next(iter(result.rejected.values()), "nothing was proposed")
        fail(f"no architecture keeps to the limits, so nothing was scored; the first one: {reason}", NOTHING_FOUND)
    if nothing_ran(chosen, result.table.scored) and "score" in result.objectives:
        fail(f"no candidate could be scored: {result.table.failures['reason'].iloc[0]}", BAD_INPUT)
    if not len(result.kept):
        reason = next(iter(result.kept.dropped.values()), "no candidates")
        fail(f"no candidate passed the filter, so nothing was trained; the best one: {reason}", NOTHING_FOUND)


def checked_formats(text: str) -> list[str]:
    """The formats of an export; `InputError` for one that does not exist."""
    formats = text.replace(" ", "").split(",")
    for one in formats:
        if one not in export_.FORMATS:
            raise unknown("format", one, export_.FORMATS)
    return formats


def table_of(space: str, path: Path | None) -> Benchmark | None:
    """The table of a benchmark's space; `InputError` where the space is not one of a benchmark."""
    if path is None:
        return None
    if space not in benchmarks.names():
        known = ", ".join(benchmarks.names())
        raise InputError(f"{path} can be a table of a benchmark's space, {known}; but got --space {space}")
    return benchmarks.get(space, path)


def show(result: SearchResult) -> None:
    """The stages, the survivors and what they were worth."""
    for stage in result.stages:
        out.print(
            f"{stage.name:<12}{stage.count:>6,}  {stage.seconds:7.1f} s  {stage.detail}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    print_failures(result.table)
    if len(result.objectives) > 1:
        out.print(
            f"front: {len(result.front)} architectures that no other beats in all of {', '.join(result.objectives)}"
        )
    if len(result.kept):
        print_ranking(result.kept, f"survivors, {len(result.kept)} of {len(result.table)}")
    for run in (*result.survivors, *result.random):
        if run.failure:
            out.print(f"training {run.name} (seed {run.seed}) failed: {run.failure}", markup=False, highlight=False)
    if result.survivors:
        print_training(result.survivors, result.random)
    if result.best:
        out.print(f"best survivor: {result.best}", highlight=False, markup=False, soft_wrap=True)
        if (better := best_of(result.random)) > best_of(result.survivors):
            note = f"a random pick reached {100 * better:.1f} %, more than any survivor"
            out.print(note, highlight=False, markup=False)


def best_of(runs: Sequence[Run]) -> float:
    """The highest accuracy of the runs that ended well."""
    return max(accuracies([run for run in runs if not run.stopped]), default=0.0)


def summary(result: SearchResult) -> dict[str, object]:
    """A search as plain values."""
    return {
        "settings": result.settings,
        "stages": [vars(stage) for stage in result.stages],
        **as_dict(result.kept, result.table),
        "front": result.front,
        "order": result.order,
        "rejected": result.rejected,
        "survivors": [run.to_dict() for run in result.survivors],
        "random": [run.to_dict() for run in result.random],
        "best": result.best,
    }
