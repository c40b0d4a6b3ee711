"""`zerocost latency record`: a table of layers, measured on the device at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from zerocost import data as data_
from zerocost.base.format import fixed, percent
from zerocost.base.progress import report_steps
from zerocost.cli.expand import command
from zerocost.cli.options import Data, Space, read_space
from zerocost.cli.output import check_output, out, print_written
from zerocost.search.fit_space import fit_space
from zerocost.search.latency_sources import latency_meter
from zerocost.search.latency_table import record_table

_SECONDS = 0.5
"""How long each layer, and each network, is measured at most."""
latency = typer.Typer(help="Latency on the device at hand.", no_args_is_help=True)


@dataclass(frozen=True, kw_only=True)
class _Recording:
    """What is measured."""

    out: Annotated[Path, typer.Option(help="Write the table to this .json file.")]
    space: Space = "cnn"
    by: Annotated[
        str, typer.Option(help="What measures: torch, onnxruntime, torch:THREADS, or 'cmd: COMMAND {onnx}'.")
    ] = "torch"
    networks: Annotated[int, typer.Option(min=3, help="Random networks whose layers are measured.")] = 30
    held_out: Annotated[int, typer.Option(min=3, help="Further networks, to say how far the table is off.")] = 20
    seed: Annotated[int, typer.Option(min=0, help="Draws the networks.")] = 0


@latency.command()
@command
def record(data: Data, recording: _Recording) -> None:
    """Measure the layers of a space's networks, and write a table that predicts latency from them.

    `zerocost search --latency TABLE.json` then needs no device.
    """
    check_output("--out", recording.out, ".json")
    loaded = data_.load(data)
    space, _ = fit_space(read_space(recording.space), loaded)
    sample = data_.draw(loaded, 1, seed=recording.seed).inputs
    with report_steps(None, "measuring") as progress:
        table = record_table(
            space,
            sample,
            latency_meter(recording.by, seconds=_SECONDS),
            networks=recording.networks,
            held_out=recording.held_out,
            seed=recording.seed,
            progress=progress,
        )
    table.save(recording.out)
    error = table.error
    out.print(
        f"{len(table.layers):,} layers; on {error['networks']:.0f} networks held out: Spearman "
        f"{fixed(error['spearman'])}, relative error {percent(error['median_relative_error'])} (median), "
        f"{percent(error['largest_relative_error'])} (largest)",
        highlight=False,
        soft_wrap=True,
    )
    print_written([recording.out])
