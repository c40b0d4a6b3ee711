"""`zerocost rank`: many candidates."""

from __future__ import annotations

from typing import Annotated

import typer

from zerocost import scoring
from zerocost.cli.common import (
    BAD_INPUT,
    INTERRUPTED,
    Balanced,
    Batch,
    Batches,
    Data,
    Device,
    Json,
    Proxies,
    Seed,
    checked_device,
    command,
    fail,
    nothing_ran,
    print_json,
    progress_bar,
)
from zerocost.cli.tables import print_failures, print_ranking
from zerocost.files import load
from zerocost.proxies.registry import resolve
from zerocost.select import proxies_in, select
from zerocost.tables import Interrupted, ScoreTable


@command
def rank(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:NAME",
            help="A mapping from name to a function that builds a network, or a function that returns one.",
        ),
    ],
    data: Data,
    proxies: Proxies = "jacob_cov,log_synflow",
    where: Annotated[str | None, typer.Option(help="Conditions on scores, such as 'params < 2e6'.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Show only the best so many.")] = None,
    batch: Batch = 64,
    batches: Batches = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Seeds each network is built and scored with.")] = 1,
    balanced: Balanced = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Score many untrained networks on one batch and rank them."""
    chosen = resolve(proxies)
    place = checked_device(device)
    candidates = load(target)
    interrupted = False
    with progress_bar({"score": "scoring"}) as report:
        try:
            table = scoring.rank(
                candidates,
                data,
                chosen,
                also=proxies_in(where),
                batch=batch,
                batches=batches,
                repeats=repeats,
                balanced=balanced,
                seed=seed,
                device=place,
                progress=lambda done, total: report("score", done, total),
            )
        except Interrupted as stop:
            table, interrupted = stop.table, True
    kept = select(table, where, top=top)
    unusable = nothing_ran(chosen, table.scored)
    if as_json:
        print_json(as_dict(kept, table))
    elif not unusable:
        print_ranking(
            kept,
            f"{len(kept)} of {len(table)} candidates, best first by the log-rank sum of {', '.join(table.proxies)}",
        )
        print_failures(table)
    if interrupted:
        fail(f"interrupted; the {len(table)} candidates scored until then are above", INTERRUPTED)
    if unusable:
        fail(f"no candidate could be scored: {table.failures['reason'].iloc[0]}", BAD_INPUT)


def as_dict(kept: ScoreTable, table: ScoreTable) -> dict[str, object]:
    """A ranking as plain values."""
    return {
        "spread": table.spread.to_dict("index"),
        "ranking": [{"candidate": name, **row} for name, row in kept.frame.to_dict("index").items()],
        "dropped": kept.dropped,
        "failures": table.failures.to_dict("records"),
        "provenance": {name: card.provenance for name, card in kept.cards.items()},
    }
