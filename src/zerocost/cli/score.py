"""`zerocost score`: one network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.markup import escape
from rich.table import Table

from zerocost.base.device import check_device
from zerocost.cli.candidates import load_builder
from zerocost.cli.expand import command
from zerocost.cli.options import Data, Drawing, Json, OptionalBatch, Proxies, TaskOptions
from zerocost.cli.output import out, print_json
from zerocost.cli.shell import BAD_INPUT, fail, nothing_ran
from zerocost.cli.tables import cell_text, print_left_out, what_fits
from zerocost.combine import as_proxies, proxies_for
from zerocost.data import load as open_data
from zerocost.data.batch import usual_size
from zerocost.integrations.keras import library as keras
from zerocost.proxies.registry import resolve
from zerocost.scoring.candidates import initialise_on
from zerocost.scoring.memory import memory_by_layer
from zerocost.scoring.rank import draw_batches
from zerocost.scoring.score import DEFAULT_PROXIES
from zerocost.scoring.score import score as score_model
from zerocost.tasks.task import as_task

_DEFAULT = ",".join(DEFAULT_PROXIES)
_LAYER_WIDTH = 30
"""The columns of a long name of a layer, which goes on in the next line."""


@dataclass(frozen=True, kw_only=True)
class _ScoreOptions(TaskOptions, Drawing):
    """How networks are scored."""

    proxies: Proxies = _DEFAULT
    batch: OptionalBatch = None


@command
def score(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:NAME",
            help="A function that builds a network, or a file of a Keras model: .keras or .h5.",
        ),
    ],
    data: Data,
    options: _ScoreOptions,
    as_json: Json = False,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also show the memory of each layer, in bytes at float32 and at int8.")
    ] = False,
) -> None:
    """Score one untrained network."""
    seed = options.seed
    resolve(as_proxies(options.proxies))
    check_device(options.device)
    of_keras = target.endswith(keras.SUFFIXES) or Path(target).is_dir()
    model = initialise_on(keras.load(target) if of_keras else load_builder(target), seed, options.device)
    source = open_data(data, task=options.task)
    size = options.batch or usual_size(source)
    batches = draw_batches(source, size, options.batches, seed, options.balanced)
    first = batches[0]
    task = as_task(options.task, source, first, loss=options.loss, output=options.output)
    chosen = proxies_for(options.proxies, first.inputs)
    card = score_model(model, batches, chosen, task=task, seed=seed)
    unusable = nothing_ran(chosen, card.scores)
    memory = memory_by_layer(model, batches[0][0]) if layers else None
    if as_json:
        print_json(
            {
                "scores": card.scores,
                "spread": card.spread,
                "failures": card.failures,
                "passes": [vars(step) for step in card.passes],
                "provenance": card.provenance,
                **({} if memory is None else {"layers": memory.to_dict("records")}),
            }
        )
    elif not unusable:
        table = Table(box=None, pad_edge=False)
        table.add_column("proxy", no_wrap=True)
        table.add_column("score", justify="right", no_wrap=True)
        table.add_column("", overflow="fold")
        for name in (p.name for p in chosen):
            spread = f" ± {cell_text(card.spread[name], name)}" if name in card.spread else ""
            value = cell_text(card.scores[name], name) + spread if name in card else "—"
            table.add_row(name, value, card.failures.get(name, ""))
        out.print(table)
        made = card.provenance
        forwards, backwards = (sum(getattr(p, kind) for p in card.passes) for kind in ("forwards", "backwards"))
        out.print(
            f"{forwards} forward and {backwards} backward passes in {card.milliseconds:.0f} ms; "
            f"batch {size} of {data}, task {made['task']}, {made['dtype']} on {made['device']}, seed {seed}; "
            "higher is better",
            style="dim",
            highlight=False,
        )
        if card.unused_note:
            out.print(card.unused_note, style="dim", highlight=False, markup=False)
        if memory is not None:
            _print_memory(memory)
    if unusable:
        fail(f"no proxy could be computed: {next(iter(card.failures.values()))}", BAD_INPUT)


def _print_memory(memory: pd.DataFrame) -> None:
    """The memory of each layer, the peak marked, with the columns that the terminal has room for."""
    peak = int(memory["peak_memory"].to_numpy().argmax())
    cells = {"operation": memory["operation"].tolist()}
    for name in ("peak_memory", "peak_memory_int8", "flash", "flash_int8"):
        cells[name] = [cell_text(value, name) for value in memory[name]]
    cells[""] = ["peak" if place == peak else "" for place in range(len(memory))]
    longest = min(_LAYER_WIDTH, max(map(len, ("layer", *memory["layer"]))))
    columns = what_fits(cells, out.width - longest, ["peak_memory", ""])
    shown = Table(box=None, pad_edge=False)
    shown.add_column("layer", overflow="fold", min_width=longest)
    for name in columns:
        shown.add_column(name, justify="left" if name in ("operation", "") else "right")
    for layer, *row in zip(memory["layer"], *(cells[name] for name in columns), strict=True):
        shown.add_row(escape(layer), *row)
    out.print(shown)
    print_left_out([name for name in cells if name not in columns], "--json gives")
