"""`zerocost rank`: many candidates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from zerocost.base.device import check_device
from zerocost.base.errors import InputError
from zerocost.base.files import check_file
from zerocost.base.format import plural
from zerocost.base.interrupt import INTERRUPTED
from zerocost.base.user_code import load_object
from zerocost.cli.common import (
    Data,
    Drawing,
    Explain,
    Json,
    OptionalBatch,
    Proxies,
    Repeats,
    TableFiles,
    TaskOptions,
    command,
    nothing_ran,
    print_json,
    print_written,
)
from zerocost.cli.expand import vars_of
from zerocost.cli.shell import BAD_INPUT, NOTHING_FOUND, fail
from zerocost.cli.tables import print_explanation, print_failures, print_ranking
from zerocost.combine import as_combination, as_proxies
from zerocost.data import load as open_data
from zerocost.integrations import huggingface, timm
from zerocost.integrations.huggingface import TASKS
from zerocost.proxies.registry import resolve
from zerocost.scoring.rank import rank as rank_candidates
from zerocost.scoring.select import proxies_in, select
from zerocost.scoring.table import RankingInterrupted, ScoreTable


@dataclass(frozen=True, kw_only=True)
class _RankOptions(TaskOptions, Drawing):
    """How networks are scored."""

    proxies: Proxies = "default"
    batch: OptionalBatch = None
    repeats: Repeats = None


@dataclass(frozen=True, kw_only=True)
class _RankOutput:
    """What is shown and written."""

    where: Annotated[str | None, typer.Option(help="Conditions on scores, such as 'params < 2e6'.")] = None
    top: Annotated[int | None, typer.Option(min=1, help="Show only this many candidates, the best.")] = None
    save: Annotated[
        Path | None,
        typer.Option(
            help="Write the combination to this .json file, with these scores as reference; --proxies takes the file."
        ),
    ] = None
    explain: Explain = False
    as_json: Json = False


@command
def rank(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:NAME|timm:NAMES|hf:[TASK:]PATH",
            help="A mapping from name to a function that builds a network, or a function that returns one; models of "
            "timm, as in 'timm:resnet1*,vit_tiny_*'; or models of Hugging Face transformers from a JSON configuration "
            f"or a folder of them, as in 'hf:configs/' or 'hf:masked-lm:configs/', for a task of {', '.join(TASKS)}. "
            "By default the task is that of the saved model, else the first. On token ids models are ranked by "
            f"{huggingface.PROXIES} unless --proxies names others.",
        ),
    ],
    data: Data,
    options: _RankOptions,
    output: _RankOutput,
    files: TableFiles,
) -> None:
    """Score many untrained networks on one batch and rank them."""
    save = output.save
    check_file(save)
    files.check()
    if save is not None and save.suffix != ".json":
        raise InputError(f"cannot write {save}: give a .json file in a folder that exists")
    check_device(options.device)
    candidates, source = _load_candidates(target, data)
    proxies = options.proxies
    if target.startswith("hf:") and proxies == "default" and huggingface.holds_ids(source):
        proxies = huggingface.PROXIES
    combination = as_combination(proxies)
    chosen = resolve(as_proxies(proxies))
    where = combination.conditions(output.where)
    sizes = ["non_embedding_params"] if target.startswith("hf:") else []
    interrupted = False
    try:
        table = rank_candidates(
            candidates,
            source,
            combination if proxies.endswith(".json") else chosen,
            also=[*proxies_in(where), *sizes],
            **{name: value for name, value in vars_of(options).items() if name != "proxies"},
        )
    except RankingInterrupted as stop:
        table, interrupted = stop.table, True
    kept = select(table, where, top=output.top)
    unusable = nothing_ran(chosen, table.scored)
    try:
        if output.as_json:
            print_json(ranking_dict(kept, table))
        elif not unusable:
            print_ranking(kept, f"{len(kept)} of {plural(len(table), 'candidate')}, best first by {table.ranked_by}")
            print_failures(table)
            if output.explain:
                print_explanation(table, kept)
    finally:  # also where there is nobody to read what is printed
        if save is not None and not unusable:
            table.combination.against(table.frame).save(save)
        written = [*files.write(kept), *([save] if save is not None else [])] if not unusable else []
    print_written([] if output.as_json else written)
    if interrupted:
        fail(f"interrupted; above is what was scored until then, {plural(len(table), 'candidate')}", INTERRUPTED)
    if unusable:
        fail(f"no candidate could be scored: {table.failures['reason'].iloc[0]}", BAD_INPUT)
    if not len(kept):
        reason = next(iter(kept.dropped.values()))
        fail(f"no candidate passed the filter; the best one: {reason}", NOTHING_FOUND)


def _load_candidates(target: str, data: str) -> tuple[Any, Any]:
    """The candidates, and the data to score them on."""
    collection, _, names = target.partition(":")
    if collection == "timm":
        source = open_data(data)
        return timm.candidates(names, source), source
    if collection == "hf":
        return huggingface.candidates_and_data(names, open_data(data))
    return load_object(target), data


def ranking_dict(kept: ScoreTable, table: ScoreTable) -> dict[str, object]:
    """A ranking as plain values."""
    return {
        "spread": table.spread.to_dict("index"),
        "ranking": [{"candidate": name, **row} for name, row in kept.frame.to_dict("index").items()],
        "dropped": kept.dropped,
        "failures": table.failures.to_dict("records"),
        "provenance": {name: card.provenance for name, card in kept.cards.items()},
    }
