"""`zerocost score`: one network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from zerocost.base.device import check_device
from zerocost.base.errors import InputError
from zerocost.base.user_code import load
from zerocost.cli.common import (
    BAD_INPUT,
    Balanced,
    Batch,
    Batches,
    Data,
    Device,
    Json,
    Proxies,
    Seed,
    command,
    fail,
    nothing_ran,
    out,
    print_json,
)
from zerocost.cli.tables import cell
from zerocost.combine import parts
from zerocost.integrations.keras import library as keras
from zerocost.proxies.registry import resolve
from zerocost.scoring.candidates import initialise_on as initialised
from zerocost.scoring.rank import draw_batches
from zerocost.scoring.score import DEFAULT_PROXIES as SCORE_DEFAULT
from zerocost.scoring.score import score as score_model

DEFAULT = ",".join(SCORE_DEFAULT)


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
    proxies: Proxies = DEFAULT,
    batch: Batch = 64,
    batches: Batches = 1,
    balanced: Balanced = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Score one untrained network."""
    chosen = resolve(parts(proxies))
    check_device(device)
    of_keras = target.endswith(keras.SUFFIXES) or Path(target).is_dir()
    built = keras.load(target) if of_keras else load(target)
    if not callable(built):
        raise InputError(f"{target} is of type {type(built).__name__}, not a function that builds a network")
    model = initialised(built, seed, device)
    drawn = draw_batches(data, batch, batches, seed, balanced)
    card = score_model(model, drawn, chosen, seed=seed)
    unusable = nothing_ran(chosen, card.scores)
    if as_json:
        print_json(
            {
                "scores": card.scores,
                "spread": card.spread,
                "failures": card.failures,
                "passes": [vars(step) for step in card.passes],
                "provenance": card.provenance,
            }
        )
    elif not unusable:
        table = Table("proxy", "score", "", box=None, pad_edge=False)
        table.columns[1].justify = "right"
        for name in (p.name for p in chosen):
            spread = f" ± {cell(card.spread[name], name)}" if name in card.spread else ""
            value = cell(card.scores[name], name) + spread if name in card else "—"
            table.add_row(name, value, card.failures.get(name, ""))
        out.print(table)
        made = card.provenance
        forwards, backwards = (sum(getattr(p, kind) for p in card.passes) for kind in ("forwards", "backwards"))
        out.print(
            f"{forwards} forward and {backwards} backward passes in {card.milliseconds:.0f} ms; batch {batch} of "
            f"{data}, {made['dtype']} on {made['device']}, seed {seed}; higher is better",
            style="dim",
            highlight=False,
        )
    if unusable:
        fail(f"no proxy could be computed: {next(iter(card.failures.values()))}", BAD_INPUT)
