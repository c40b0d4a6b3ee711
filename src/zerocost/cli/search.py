"""`zerocost search`: choose a space, score, filter, train the survivors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from zerocost import benchmarks, report
from zerocost.base.device import check_place
from zerocost.base.errors import InputError
from zerocost.base.format import plural
from zerocost.base.interrupt import INTERRUPTED
from zerocost.benchmarks import Benchmark
from zerocost.cli.expand import SettingsOf, command, vars_of
from zerocost.cli.options import (
    Data,
    Device,
    Explain,
    Json,
    LossFile,
    MetricName,
    OutputPlace,
    Proxies,
    Report,
    Space,
    TaskName,
    read_space,
)
from zerocost.cli.output import TableFiles, Write, check_output, out, print_json, print_line, then_written, write_to
from zerocost.cli.rank import ranking_dict
from zerocost.cli.runs import print_failed_runs
from zerocost.cli.shell import BAD_INPUT, NOTHING_FOUND, fail, nothing_ran
from zerocost.cli.tables import (
    metrics_of,
    print_budget,
    print_explanation,
    print_failures,
    print_ranking,
    print_trained,
    print_training,
)
from zerocost.combine import as_proxies
from zerocost.engine.proxy import Proxy
from zerocost.proxies.registry import resolve
from zerocost.report.gain import spent_budget
from zerocost.report.headline import luck_note
from zerocost.report.times import Power, Times
from zerocost.search import pipeline
from zerocost.search.export import check_export
from zerocost.search.formats import FORMATS, check_formats
from zerocost.search.objectives import SCORE
from zerocost.search.pipeline import NothingFits, SearchInterrupted, SearchResult
from zerocost.search.settings import Keeping
from zerocost.tasks import Task
from zerocost.tasks.text import metric_text
from zerocost.train.run import Run

_STRATEGIES = "random, evolution, local, reinforce, gradient, tpe, nsga2, cmaes or gp"


@dataclass(frozen=True, kw_only=True)
class AtShell:
    """Settings of a pipeline that are written otherwise at the shell."""

    hardware: Annotated[
        Path | None,
        typer.Option(help="Table of the space's benchmark; its latencies and energies can be named like other costs."),
    ] = None
    accuracy: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            help="Table of the space's benchmark to look the objective accuracy (or perplexity, loss) up in. Without "
            "it networks are trained.",
        ),
    ] = None
    task: TaskName = None
    loss: LossFile = None
    metric: MetricName = None
    output: OutputPlace = None
    proxies: Proxies = "default"
    strategy: Annotated[str, typer.Option(help=f"What proposes architectures: {_STRATEGIES}.")] = "random"
    device: Device = "cpu"


@dataclass(frozen=True, kw_only=True)
class _SearchOutput:
    """What is shown and written."""

    export: Annotated[Path | None, typer.Option(help="Write the best network to this folder.")] = None
    formats: Annotated[str, typer.Option(help=f"Formats to write it in: {', '.join(FORMATS)}.")] = "safetensors"
    report: Report = None
    watts: Annotated[
        float | None, typer.Option(help="Power of this machine; the report then says how much energy the search saved.")
    ] = None
    grams_per_kwh: Annotated[
        float | None, typer.Option(help="CO₂ of its electricity; the report then says how much was saved.")
    ] = None
    explain: Explain = False
    as_json: Json = False

    @property
    def format_names(self) -> list[str]:
        """The formats, one by one."""
        return self.formats.replace(" ", "").split(",")

    def check(self, epochs: int) -> None:
        """`InputError` for what cannot be written."""
        check_formats(self.format_names)
        power = Power.of(self.watts, self.grams_per_kwh)
        if power and self.report is None:
            raise InputError("--watts is for the report; say where to write it with --report FILE.html")
        if power and not epochs:
            raise InputError("--watts says what is saved in training, but nothing is trained; use --epochs 1 or more")
        check_output("--report", self.report, ".html", ".htm", "")
        check_export(self.export)
        if self.export is not None and not epochs:
            raise InputError("there is nothing to export without training; use --epochs 1 or more")

    def writes(self, result: SearchResult, own_space: str | None) -> list[Write]:
        """What writes each file that is asked for."""
        powered = {"watts": self.watts, "grams_per_kwh": self.grams_per_kwh}
        written = write_to(self.report, lambda path: report.write(result, path, **powered))
        if (folder := self.export) is not None and result.best:
            written.append(lambda: result.export(folder, self.format_names, space=own_space).values())
        return written


@command
def search(
    data: Data,
    space: Space = "cnn",
    *,
    settings: Annotated[dict[str, Any], SettingsOf(pipeline.Pipeline, AtShell, leave_out=("space", "limits"))],
    keeping: Keeping,
    output: _SearchOutput,
    files: TableFiles,
) -> None:
    """Search a space: score many architectures untrained, keep the best, train only those."""
    chosen = resolve(as_proxies(settings["proxies"]))
    check_place(settings["device"], settings["ray"])
    output.check(settings["epochs"])
    files.check()
    tables = {name: _load_table(space, settings[name]) for name in ("hardware", "accuracy")}
    kept = {"workdir": output.export / "trainings"} if output.export and not keeping.workdir else {}
    own = space if ":" in space else None
    interrupted, refusals = False, "nothing was proposed, so nothing was scored"
    try:
        result = pipeline.search(
            read_space(space),
            data,
            **settings | tables | vars_of(keeping) | kept,
        )
    except SearchInterrupted as stop:
        result, interrupted = stop.result, True
    except NothingFits as none:
        result, refusals = none.result, str(none)
    with then_written(lambda: [*output.writes(result, own), *files.writes(result)], output.as_json):
        if output.as_json:
            print_json(_result_dict(result))
        else:
            _print_result(result)
            _explain_result(result, output)
    if interrupted:
        fail("interrupted; what was done until then is above", INTERRUPTED)
    _fail_without_survivors(result, chosen, refusals)


def _explain_result(result: SearchResult, output: _SearchOutput) -> None:
    """Why these survived, if that is asked for."""
    if output.explain and SCORE in result.objectives:
        print_explanation(result.table, result.kept, result.combination)
    elif output.explain:
        out.print("nothing is ranked by a combination of proxies here, so there is none to explain", style="dim")


def _fail_without_survivors(result: SearchResult, chosen: Sequence[Proxy], refusals: str) -> None:
    """Fail where a search ended without a survivor, and say why."""
    if not len(result.table):
        fail(refusals, NOTHING_FOUND)
    for table in result.tables:
        if nothing_ran(chosen, table.scored) and "score" in result.objectives:
            fail(f"no candidate could be scored: {table.failures['reason'].iloc[0]}", BAD_INPUT)
    if not len(result.kept):
        reason = next(iter(result.kept.dropped.values()), "no candidates")
        fail(f"no candidate passed the filter, so nothing was trained; the best one: {reason}", NOTHING_FOUND)
    if result.survivors and result.best is None:
        fail(f"no training ended well, so there is no best network: {result.survivors[0].failure}", NOTHING_FOUND)


def _load_table(space: str, path: Path | None) -> Benchmark | None:
    """The table of a benchmark's space; `InputError` where the space is not one of a benchmark."""
    if path is None:
        return None
    if space not in benchmarks.names():
        known = ", ".join(benchmarks.names())
        raise InputError(f"{path} can be a table of a benchmark's space, {known}; but got --space {space}")
    return benchmarks.get(space, path)


def _print_result(result: SearchResult) -> None:
    """The stages, the survivors and what they were worth."""
    for stage in result.stages:
        print_line(f"{stage.name:<12}{stage.count:>6,}  {stage.seconds:7.1f} s  {stage.detail}")
    for table in result.tables:
        for note in table.notes:
            print_line(note)
        print_failures(table)
    learnt = spent_budget(result)
    _print_front(result, learnt)
    if learnt:
        print_trained(result)
    elif len(result.kept):
        print_ranking(
            result.kept, f"survivors, {len(result.kept)} of {len(result.table)}, best first by {result.table.ranked_by}"
        )
    print_failed_runs([*result.survivors, *result.random])
    if result.survivors:
        print_training(result.survivors, result.random, f"what the {'search' if learnt else 'filter'} bought")
    if learnt:
        print_budget(result)
    if result.best:
        print_line(f"best survivor: {result.best}")
        best = [_best_metric(runs, result.task) for runs in (result.random, result.survivors)]
        if None not in best and best[0] != best[1] and _best_of(best, result.task) == best[0]:
            reached = metric_text(result.task.metric_name, best[0])
            print_line(f"a random pick reached {reached}, better than any survivor")
        if luck := luck_note(result):
            print_line(luck)
    times = Times.of(result)
    if result.survivors:
        print_line("; ".join(filter(None, (times.summary, times.note))))


def _print_front(result: SearchResult, learnt: bool) -> None:
    """With several objectives, the architectures that no other beats in all of them."""
    if len(result.objectives) < 2:
        return
    names = [result.task.metric_name if learnt and name == SCORE else name for name in result.objectives]
    which = plural(len(result.front), "trained architecture" if learnt else "architecture")
    title = f"front: {which} that no other beats in all of {', '.join(names)}"
    if learnt or not result.front:
        out.print(title)
    else:
        print_ranking(result.table.narrow(result.front, {}), title)


def _best_metric(runs: Sequence[Run], task: Task) -> float | None:
    """The best metric of the runs that ended well; None without any."""
    return _best_of(metrics_of([run for run in runs if not run.stopped]), task)


def _best_of(values: Sequence[float | None], task: Task) -> float | None:
    """The best of some values of a task's metric; None without any."""
    known = [value for value in values if value is not None]
    return (max if task.higher_is_better else min)(known, default=None)


def _result_dict(result: SearchResult) -> dict[str, object]:
    """A search as plain values."""
    return {
        "settings": result.settings,
        "stages": [vars(stage) for stage in result.stages],
        **ranking_dict(result.kept, result.table),
        "notes": [note for table in result.tables for note in table.notes],
        "failures": [one for table in result.tables for one in table.failures.to_dict("records")],
        "front": result.front,
        "order": result.order,
        "rejected": result.rejected,
        "survivors": [run.to_dict() for run in result.survivors],
        "random": [run.to_dict() for run in result.random],
        "expected": [one._asdict() for one in result.expected],
        "trust": result.trust,
        "best": result.best,
    }
