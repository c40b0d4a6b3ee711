"""`zerocost rank`: many candidates."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from zerocost.base.device import check_place
from zerocost.base.errors import InputError
from zerocost.base.format import plural
from zerocost.base.interrupt import INTERRUPTED
from zerocost.cli.candidates import Target, load_candidates
from zerocost.cli.expand import command, vars_of
from zerocost.cli.options import (
    Data,
    Drawing,
    Explain,
    Json,
    OptionalBatch,
    Proxies,
    Ray,
    Repeats,
    TaskOptions,
    Workers,
)
from zerocost.cli.output import TableFiles, Write, check_output, print_json, print_line, then_written, write_to
from zerocost.cli.runs import TrainingOptions, print_runs, with_metric
from zerocost.cli.shell import BAD_INPUT, NOTHING_FOUND, fail, nothing_ran
from zerocost.cli.tables import print_explanation, print_failures, print_ranking
from zerocost.combine import as_combination, as_proxies, for_inputs
from zerocost.data import split
from zerocost.data.as_batch import first_batch
from zerocost.proxies.registry import resolve
from zerocost.scoring.rank import rank as rank_candidates
from zerocost.scoring.select import proxies_in, select
from zerocost.scoring.table import RankingInterrupted, ScoreTable
from zerocost.train.run import Run, TrainingInterrupted
from zerocost.train.trainer import train as train_candidates


@dataclass(frozen=True, kw_only=True)
class _RankOptions(TaskOptions, Drawing):
    """How networks are scored."""

    proxies: Proxies = "default"
    batch: OptionalBatch = None
    repeats: Repeats = None
    workers: Workers = None
    ray: Ray = None


@dataclass(frozen=True, kw_only=True)
class _TrainBest(TrainingOptions):
    """Which networks are trained."""

    train: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train this many, the best, and show their metric beside the score. A fifth of the data is held out "
            "for it, which scores do not see.",
        ),
    ] = None
    training_seeds: Annotated[int, typer.Option(min=1, help="Trainings of each, with seeds 0, 1, ….")] = 1

    def check(self) -> None:
        """`InputError` for settings of a training that there is not."""
        given = [one.name for one in fields(self) if getattr(self, one.name) != one.default]
        if given and self.train is None:
            option = f"--{given[0].replace('_', '-')}"
            raise InputError(f"{option} is about training, and nothing is trained without --train; add --train 3")


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
    target: Target,
    data: Data,
    options: _RankOptions,
    training: _TrainBest,
    output: _RankOutput,
    files: TableFiles,
) -> None:
    """Score many untrained networks on one batch and rank them. With --train, train the best."""
    save = output.save
    training.check()
    check_output("--save", save, ".json")
    files.check()
    check_place(options.device, options.ray)
    candidates, source = load_candidates(target, data, options.task)
    source, held_out = split(source, seed=options.seed) if training.train else (source, None)
    proxies = for_inputs(options.proxies, first_batch(source, options.seed).inputs)
    combination = as_combination(proxies)
    chosen = resolve(as_proxies(proxies))
    where = combination.conditions(output.where)
    sizes = ["non_embedding_params"] if target.startswith("hf:") else []
    interrupted = False
    try:
        table = rank_candidates(
            candidates,
            source,
            combination,
            also=[*proxies_in(where), *sizes],
            **{name: value for name, value in vars_of(options).items() if name != "proxies"},
        )
    except RankingInterrupted as stop:
        table, interrupted = stop.table, True
    kept = select(table, where, top=output.top)
    unusable = nothing_ran(chosen, table.scored)
    runs: list[Run] = []

    def writes() -> list[Write]:
        if unusable:
            return []
        return [*files.writes(kept), *write_to(save, lambda path: table.combination.against(table.frame).save(path))]

    with then_written(writes, output.as_json):
        if not output.as_json and not unusable:
            _print_table(kept, table, output.explain)
        if training.train and not interrupted and not unusable and len(kept):
            runs, interrupted = _train_best(kept, source, held_out, options, training)
            kept = with_metric(kept, runs)
        if output.as_json:
            print_json(ranking_dict(kept, table) | ({"runs": [run.to_dict() for run in runs]} if runs else {}))
        elif runs:
            print_runs(runs, dict(kept.frame["rank_score"]))
    if interrupted:
        fail(f"interrupted; above is what was scored until then, {plural(len(table), 'candidate')}", INTERRUPTED)
    if unusable:
        fail(f"no candidate could be scored: {table.failures['reason'].iloc[0]}", BAD_INPUT)
    if not len(kept):
        reason = next(iter(kept.dropped.values()))
        fail(f"no candidate passed the filter; the best one: {reason}", NOTHING_FOUND)


def _print_table(kept: ScoreTable, table: ScoreTable, explain: bool) -> None:
    """The ranking, what failed in it, and why it is as it is where that is asked for."""
    print_ranking(kept, f"{len(kept)} of {plural(len(table), 'candidate')}, best first by {table.ranked_by}")
    print_failures(table)
    for note in table.notes:
        print_line(f"\nnote: {note}", style="dim")
    if explain:
        print_explanation(table, kept)


def _train_best(
    kept: ScoreTable, train: Any, validation: Any, options: _RankOptions, training: _TrainBest
) -> tuple[list[Run], bool]:
    """The trainings of the best candidates, and whether they were interrupted."""
    settings: dict[str, Any] = {name: getattr(options, name) for name in ("task", "loss", "output", "device", "ray")}
    settings |= {name: value for name, value in vars_of(training).items() if name not in ("train", "training_seeds")}
    settings |= {"train": train, "validation": validation, "seeds": range(training.training_seeds)}
    try:
        return train_candidates(select(kept, top=training.train), **settings), False
    except TrainingInterrupted as stop:
        return stop.runs, True


def ranking_dict(kept: ScoreTable, table: ScoreTable) -> dict[str, object]:
    """A ranking as plain values."""
    return {
        "spread": table.spread.to_dict("index"),
        "ranking": [{"candidate": name, **row} for name, row in kept.frame.to_dict("index").items()],
        "dropped": kept.dropped,
        "failures": table.failures.to_dict("records"),
        "notes": table.notes,
        "provenance": {name: card.provenance for name, card in kept.cards.items()},
    }
