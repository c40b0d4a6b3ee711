"""`zerocost calibrate`: the cheapest fidelity that ranks as full size does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from zerocost.base.format import fixed, percent
from zerocost.cli.expand import command, vars_of
from zerocost.cli.options import (
    Data,
    Device,
    Json,
    OptionalBatch,
    Proxies,
    Ray,
    Seed,
    Space,
    TaskName,
    Workers,
    read_space,
)
from zerocost.cli.output import check_output, out, print_json, print_line, then_written, write_to
from zerocost.tuning.fidelity import Calibrated
from zerocost.tuning.fidelity import calibrate as find_fidelity


@dataclass(frozen=True, kw_only=True)
class _Agreement:
    """What agreement is wanted."""

    proxies: Proxies = "default"
    kendall: Annotated[float, typer.Option(help="Kendall's τ with the ranking at full size, between 0 and 1.")] = 0.7
    interval: Annotated[float, typer.Option(help="How wide the 95 % interval of τ may be.")] = 0.1
    networks: Annotated[int, typer.Option(help="The most to choose on, and to measure the choice on.")] = 200
    fidelities: Annotated[
        list[str] | None,
        typer.Option("--fidelity", help="A fidelity to try, as in width=0.5,resolution=16; repeat for several."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class _Place:
    """How it runs and is kept."""

    task: TaskName = None
    batch: OptionalBatch = None
    seed: Seed = 0
    device: Device = "cpu"
    workers: Workers = None
    ray: Ray = None
    store: Annotated[str | None, typer.Option(help="Keep scores in this file or postgresql://… database.")] = None


@command
def calibrate(
    data: Data,
    agreement: _Agreement,
    place: _Place,
    space: Space = "cnn",
    save: Annotated[
        Path | None, typer.Option(help="Write the fidelity to this .json file, for --fidelity of search and evaluate.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the cheapest fidelity whose ranking agrees with that of the full networks."""
    check_output("--save", save, ".json")
    found = find_fidelity(read_space(space), data, **vars_of(agreement), **vars_of(place))
    with then_written(lambda: write_to(save, found.save), as_json):
        if as_json:
            print_json(found.as_dict())
        else:
            _print_calibrated(found)


def _print_calibrated(found: Calibrated) -> None:
    """What was tried, and in words what was found."""
    table = Table("fidelity", "ranked by", box=None, pad_edge=False)
    for column in ("cost", "networks", "τ", "95 % interval"):
        table.add_column(column, justify="right")
    for name, row in found.tried.iterrows():
        interval = f"{fixed(row['low'])} {fixed(row['high'])}"
        table.add_row(
            escape(str(name)),
            ", ".join(row["proxies"]),
            percent(row["cost"]),
            str(int(row["networks"])),
            fixed(row["kendall"]),
            interval,
        )
    if len(found.tried):
        out.print(table, highlight=False)
    print_line(found.verdict)
    if len(found.parts) > 1:
        each = ", ".join(f"{name} {fixed(tau)}" for name, tau in found.parts.items())
        print_line(f"τ of each proxy with itself at full size: {each}")
