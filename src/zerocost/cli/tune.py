"""`zerocost tune`: a few trained architectures make the combination that ranks the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from zerocost import benchmarks, spaces
from zerocost.base.device import check_device
from zerocost.base.errors import InputError
from zerocost.cli.common import SPECS, Device, Json, Seed, command, out, print_json, progress_bar
from zerocost.report.format import fixed
from zerocost.search.export import own_space
from zerocost.tuning import Tuned
from zerocost.tuning import tune as find
from zerocost.tuning.tune import CANDIDATES

SPACES = ", ".join(spaces.names())
BENCHMARKS = ", ".join(benchmarks.names())


@command
def tune(
    trained: Annotated[
        str,
        typer.Option(help=f"A CSV file with columns arch and accuracy, or a benchmark by name: {BENCHMARKS}."),
    ],
    space: Annotated[
        str | None, typer.Option(help=f"A space by name ({SPACES}), or FILE.py:NAME; a benchmark has its own.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help=f"Where batches come from: {SPECS}. A benchmark may have its own.")
    ] = None,
    proxies: Annotated[str, typer.Option(help="What may be given a weight, comma-separated.")] = ",".join(CANDIDATES),
    fidelity: Annotated[
        list[str] | None, typer.Option(help="What may be scored: full, or width=0.5,resolution=16; repeat for several.")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Samples in a batch; repeat for several.")] = None,
    repeats: Annotated[
        list[int] | None, typer.Option(min=1, help="Initialisations to average; repeat for several.")
    ] = None,
    trials: Annotated[int, typer.Option(min=2, help="Proposals in each tuning.")] = 100,
    folds: Annotated[int, typer.Option(min=2, help="Parts of the trained, each held out once a round.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="How often the trained are divided anew.")] = 2,
    n: Annotated[int, typer.Option("--n", min=1, help="Architectures to draw of a benchmark.")] = 100,
    pool: Annotated[int, typer.Option(min=0, help="Random architectures to rank among; the trained ones if 0.")] = 0,
    seed: Seed = 0,
    device: Device = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes to score in.")] = 1,
    store: Annotated[
        str | None, typer.Option(help="Keep scores in this file or postgresql://… database; none is computed twice.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the combination here; --proxies of rank and search takes the file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the weights and settings that rank trained architectures best, and what that is worth on others."""
    check_device(device)
    if save is not None and not save.resolve().parent.is_dir():
        raise InputError(f"cannot write {save}: there is no folder {save.resolve().parent}")
    with progress_bar({"score": "scoring", "tune": "tuning"}) as progress:
        tuned = find(
            benchmarks.get(trained) if trained in benchmarks.names() else trained,
            own_space(space) if space and ":" in space else space,
            data,
            proxies=proxies,
            fidelities=fidelity or ["full"],
            batches=batch or [64],
            repeats=repeats or [1, 3],
            trials=trials,
            folds=folds,
            rounds=rounds,
            n=n,
            pool=pool,
            seed=seed,
            device=device,
            workers=workers,
            store=store,
            progress=progress,
        )
    if save is not None:
        tuned.save(save)
    if as_json:
        print_json(as_dict(tuned))
        return
    show(tuned)
    if save is not None:
        out.print(f"wrote {save}", highlight=False, markup=False, soft_wrap=True)


def show(tuned: Tuned) -> None:
    """The weights, and in words what they are worth."""
    table = Table("proxy", box=None, pad_edge=False)
    for column in tuned.table:
        table.add_column(str(column), justify="right")
    for name, row in tuned.table.iterrows():
        table.add_row(escape(str(name)), *[fixed(value) for value in row])
    out.print(table)
    combination = tuned.combination
    for line in (
        f"{tuned.settings['trained']} trained architectures; alone, without and weights are of all of them, chosen of "
        "the tunings on parts of them",
        f"rule {combination.method}, fidelity {combination.fidelity}, batch {combination.batch}, "
        f"{combination.repeats} initialisation{'s' * (combination.repeats != 1)}",
        f"filter: {combination.where or 'none, as none both drops others and keeps the best'}",
    ):
        out.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)
    out.print(tuned.verdict, highlight=False, markup=False, soft_wrap=True)


def as_dict(tuned: Tuned) -> dict[str, object]:
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
