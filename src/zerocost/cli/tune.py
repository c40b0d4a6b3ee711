"""`zerocost tune`: a few trained architectures make the combination that ranks the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from zerocost import benchmarks
from zerocost.base.device import check_place
from zerocost.base.format import fixed
from zerocost.cli.expand import command, vars_of
from zerocost.cli.options import SPACE_FORMS, SPECS, Device, Json, Ray, Seed, TaskName, Workers, read_space
from zerocost.cli.output import check_output, out, print_json, print_line, then_written, write_to
from zerocost.tuning import Tuned
from zerocost.tuning import tune as tune_combination
from zerocost.tuning.tune import CANDIDATES

_BENCHMARKS = ", ".join(benchmarks.names())


@dataclass(frozen=True, kw_only=True)
class _Choices:
    """What tuning chooses from."""

    proxies: Annotated[
        str, typer.Option(help="Proxies that may be given a weight, besides those of the default, comma-separated.")
    ] = ",".join(CANDIDATES)
    fidelities: Annotated[
        list[str] | None,
        typer.Option(
            "--fidelity", help="A fidelity to try, as in width=0.5,resolution=16; repeat for several. Full if none."
        ),
    ] = None
    batches: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, help="Samples in a scoring batch to try; repeat for several. 64 if none."),
    ] = None
    repeats: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Initialisations to average over to try; repeat for several. 1 and 3 if none."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class _Effort:
    """How it is tuned and validated."""

    trials: Annotated[int, typer.Option(min=2, help="Settings that each tuning tries.")] = 100
    folds: Annotated[
        int, typer.Option(min=2, help="Parts of the trained architectures; each is held out once a round.")
    ] = 5
    rounds: Annotated[int, typer.Option(min=1, help="Times that the trained architectures are divided anew.")] = 2
    n: Annotated[int, typer.Option("--n", min=1, help="Architectures to draw from a benchmark.")] = 100
    pool: Annotated[int, typer.Option(min=0, help="Random architectures to rank among; if 0, the trained ones.")] = 0
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class _TunePlace:
    """Where it runs and is kept."""

    device: Device = "cpu"
    workers: Workers = None
    ray: Ray = None
    store: Annotated[
        str | None,
        typer.Option(help="Keep scores in this file or postgresql://… database; none in it is computed twice."),
    ] = None
    save: Annotated[
        Path | None, typer.Option(help="Write the combination to this .json file, for --proxies of rank and search.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """What was trained."""

    trained: Annotated[
        str,
        typer.Option(
            help="A CSV file with columns arch and accuracy (or an error), one that --csv or --parquet of search, rank "
            f"or train wrote, or a benchmark by name: {_BENCHMARKS}."
        ),
    ]
    space: Annotated[str | None, typer.Option(help=f"{SPACE_FORMS}; a benchmark has its own.")] = None
    task: TaskName = None
    data: Annotated[
        str | None, typer.Option(help=f"Where batches come from: {SPECS}. A benchmark may have its own.")
    ] = None


@command
def tune(given: _Trained, choices: _Choices, effort: _Effort, place: _TunePlace, as_json: Json = False) -> None:
    """Find the weights and settings that rank trained architectures best, and what they gain on others."""
    trained, space, save = given.trained, given.space, place.save
    check_place(place.device, place.ray)
    check_output("--save", save, ".json")
    tuned = tune_combination(
        benchmarks.get(trained) if trained in benchmarks.names() else trained,
        space and read_space(space),
        given.data,
        task=given.task,
        proxies=choices.proxies,
        fidelities=choices.fidelities or ["full"],
        batches=choices.batches or [64],
        repeats=choices.repeats or [1, 3],
        device=place.device,
        workers=place.workers,
        ray=place.ray,
        store=place.store,
        **vars_of(effort),
    )
    with then_written(lambda: write_to(save, tuned.save), as_json):
        if as_json:
            print_json(_tuned_dict(tuned))
        else:
            _print_tuned(tuned)


def _print_tuned(tuned: Tuned) -> None:
    """The weights, and in words what they are worth."""
    table = Table("proxy", box=None, pad_edge=False)
    for column in tuned.table:
        table.add_column(str(column), justify="right")
    for name, row in tuned.table.iterrows():
        table.add_row(escape(str(name)), *[fixed(value) for value in row])
    out.print(table)
    combination = tuned.combination
    for line in (
        f"{tuned.settings['trained']} trained architectures, by {tuned.settings['truth']}; alone, without and weights "
        "are of all of them, chosen of the tunings on parts of them",
        f"method {combination.method}, fidelity {combination.fidelity}, batch {combination.batch}, "
        f"{combination.repeats} initialisation{'s' * (combination.repeats != 1)}",
        f"filter: {combination.where or 'none, as none both drops others and keeps the best'}",
    ):
        print_line(line, style="dim")
    print_line(tuned.verdict)


def _tuned_dict(tuned: Tuned) -> dict[str, object]:
    """A tuning as plain values."""
    return {
        "combination": {name: value for name, value in tuned.combination.as_dict().items() if name != "reference"},
        "gain": {"mean": tuned.gain, "low": tuned.low, "high": tuned.high, "shown": tuned.better},
        "kendall": {"tuned": tuned.kendall, "default": tuned.baseline, "params": tuned.params},
        "kendall on what was tuned on": tuned.tuned_kendall,
        "table": tuned.table.to_dict("index"),
        "parts": tuned.parts.to_dict("records"),
        "settings": tuned.settings,
    }
