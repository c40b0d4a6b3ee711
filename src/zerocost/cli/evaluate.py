"""`zerocost evaluate`: proxies against the trained truth of a benchmark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from zerocost import benchmarks
from zerocost.base.device import check_place
from zerocost.base.files import check_file, check_folder
from zerocost.base.format import fixed, plural, seconds
from zerocost.benchmarks import Benchmark, Query
from zerocost.cli.expand import command, vars_of
from zerocost.cli.options import SPECS, Drawing, Json, OptionalBatch, Proxies, Ray, Report, Scale, TaskName, Workers
from zerocost.cli.output import Write, check_output, out, print_json, print_line, then_written, write_to
from zerocost.cli.tables import print_left_out, what_fits
from zerocost.combine import as_proxies
from zerocost.evaluation.evaluate import evaluate as evaluate_proxies
from zerocost.evaluation.evaluation import Evaluation
from zerocost.proxies.registry import resolve
from zerocost.report.frames import group_by_reason
from zerocost.scoring.score import DEFAULT_PROXIES

_DEFAULT = ",".join(DEFAULT_PROXIES)
_NAMES = ", ".join(benchmarks.names())
_MOST_REASONS = 5
"""Reasons of failures that are shown, at most."""


@dataclass(frozen=True, kw_only=True)
class _Truth:
    """What proxies are compared with, and how."""

    truth: Annotated[
        Path | None, typer.Option(help="The benchmark's file or converted folder, where it is not installed.")
    ] = None
    dataset: Annotated[str | None, typer.Option(help="Dataset of the benchmark to compare on.")] = None
    metric: Annotated[str | None, typer.Option(help="Metric to compare with.")] = None
    epochs: Annotated[int | None, typer.Option(help="Epochs of training to compare at.")] = None
    n: Annotated[int, typer.Option("--n", min=3, help="Different networks to draw and score, twins once.")] = 200
    k: Annotated[
        int | None,
        typer.Option(
            "--k",
            min=1,
            help="Highest scores that precision, best rank and regret look at. By default 10, at most half of them.",
        ),
    ] = None
    resamples: Annotated[
        int | None,
        typer.Option(
            min=1, help="Bootstrap resamples behind the intervals. By default 1,000, or 200 for over 2,000 networks."
        ),
    ] = None

    def query(self, table: Benchmark) -> Query:
        """The benchmark's default query with what was asked for in its place."""
        default = table.default
        epochs = default.epochs if self.epochs is None else self.epochs
        return Query(self.dataset or default.dataset, self.metric or default.metric, epochs, default.seed)


@dataclass(frozen=True, kw_only=True)
class _EvaluateOptions(Drawing):
    """How networks are scored."""

    data: Annotated[
        str | None,
        typer.Option(
            help=f"Where batches come from: {SPECS}. Without it, that of the benchmark, or digits, tokens or noise."
        ),
    ] = None
    proxies: Proxies = _DEFAULT
    task: TaskName = None
    seeds: Annotated[int, typer.Option(min=1, help="Seeds that each network is built and scored with.")] = 3
    batch: OptionalBatch = None
    fidelity: Scale = None
    workers: Workers = None
    ray: Ray = None
    cache: Annotated[
        str | None,
        typer.Option(
            help="Keep scores in this file or postgresql://… database; the same command goes on after a break."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class _EvaluateOutput:
    """What is written."""

    report: Report = None
    pictures: Annotated[
        Path | None, typer.Option(help="Write figures to this folder as PDF, SVG and PNG; needs the extra pictures.")
    ] = None
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the table to this file as CSV.")] = None
    latex: Annotated[Path | None, typer.Option("--latex", help="Write the table to this file for LaTeX.")] = None
    as_json: Json = False

    def check(self) -> None:
        """`InputError` for what cannot be written."""
        check_output("--report", self.report, ".html", ".htm", "")
        check_output("--csv", self.csv, ".csv", "")
        check_output("--latex", self.latex, ".tex", "")
        check_folder(self.pictures)

    def writes(self, evaluation: Evaluation) -> list[Write]:
        """What writes each file that is asked for."""

        def page(path: Path) -> None:
            from zerocost import report

            report.write(evaluation, path)

        def figures() -> list[Path]:
            from zerocost.report import pictures

            return [] if self.pictures is None else pictures.save(evaluation, self.pictures)

        tables = [*write_to(self.csv, evaluation.to_csv), *write_to(self.latex, evaluation.to_latex)]
        return [*write_to(self.report, page), *tables, figures]


@command
def evaluate(
    benchmark: Annotated[str, typer.Argument(help=f"A benchmark by name: {_NAMES}.")],
    truth: _Truth,
    options: _EvaluateOptions,
    output: _EvaluateOutput,
) -> None:
    """Compare proxies with the trained accuracies of a benchmark, beside parameters, FLOPs and depth."""
    resolve(as_proxies(options.proxies))
    check_place(options.device, options.ray)
    settings = vars_of(options)
    cache = Path(options.cache) if options.cache and "://" not in options.cache else None
    output.check()
    check_file(cache)
    table = benchmarks.get(benchmark, truth.truth)
    evaluation = evaluate_proxies(
        table,
        n=truth.n,
        k=truth.k,
        resamples=truth.resamples,
        truth=truth.query(table),
        **settings,
    )
    with then_written(lambda: output.writes(evaluation), output.as_json):
        if output.as_json:
            print_json(_evaluation_dict(evaluation))
        else:
            _print_evaluation(evaluation)


def _cell(value: float, low: float, high: float) -> str:
    """A statistic with its interval below it."""
    return fixed(value) + ("" if math.isnan(value) else f"\n{fixed(low)} {fixed(high)}")


def _print_evaluation(evaluation: Evaluation) -> None:
    """The table with its intervals, and what failed."""
    title = f"{evaluation.benchmark}: {evaluation.query}{evaluation.direction}; {evaluation.counts}"
    out.print(f"\n[bold]{escape(title)}[/bold]", highlight=False)
    table = evaluation.table
    cells = {
        statistic.replace("_", "\n", 1): [
            _cell(*row) for row in table[[f"{statistic}{end}" for end in ("", "_low", "_high")]].to_numpy()
        ]
        for statistic in evaluation.telling
    }
    if not evaluation.failures.empty:
        cells["failed"] = [f"{count:.0f}" for count in table["failed"]]
    room = out.width - max(map(len, table.index))
    columns = what_fits(cells, room, [title for title in ("failed",) if title in cells])
    shown = Table("score", box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column, justify="right")
    for name, *row in zip(map(str, table.index), *(cells[column] for column in columns), strict=True):
        shown.add_row(escape(name), *(cell.replace("\n", "\n[dim]") for cell in row))
    out.print(shown)
    print_left_out([column.replace("\n", "_") for column in cells if column not in columns])
    networks = len(evaluation.truth) * len(evaluation.seeds)
    both = "kendall_all" in evaluation.statistics
    hidden = [name for name in evaluation.statistics if name not in evaluation.telling]
    for note in (
        *([f"not shown, as nothing differs: {', '.join(hidden)}"] if hidden else []),
        *(["kendall is over different networks, kendall_all over all architectures, as papers count"] if both else []),
        "ndcg has linear gain; ndcg_vkdnw, that of VKDNW, halves the gain for one percent less",
        "below each mean its 95 % interval over architectures and seeds; a failed score counts as the worst",
        f"scored on {evaluation.settings['data']} at fidelity {evaluation.settings['fidelity']}: "
        f"{plural(networks, 'network')} in {seconds(evaluation.seconds)}",
        *evaluation.notes,
    ):
        print_line(note, style="dim")
    reasons = group_by_reason(evaluation.failures.rename(columns={"architecture": "candidate", "proxy": "part"}))
    for reason, proxies, failed in reasons.head(_MOST_REASONS).itertuples(index=False):
        print_line(f"failed for {plural(len(failed), 'architecture')} ({', '.join(proxies)}): {reason}")
    if len(reasons) > _MOST_REASONS:
        print_line(f"and {plural(len(reasons) - _MOST_REASONS, 'more reason')}, which --json lists")


def _evaluation_dict(evaluation: Evaluation) -> dict[str, object]:
    """An evaluation as plain values."""
    return {
        "settings": evaluation.settings,
        "table": evaluation.table.to_dict("index"),
        "paired": evaluation.paired.to_dict("records"),
        "failures": evaluation.failures.to_dict("records"),
    }
