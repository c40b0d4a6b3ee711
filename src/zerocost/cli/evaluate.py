"""`zerocost evaluate`: proxies against the trained truth of a benchmark."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from zerocost import benchmarks
from zerocost.base.device import check_device
from zerocost.base.errors import InputError
from zerocost.benchmarks import Benchmark, Query
from zerocost.cli.common import (
    SPECS,
    Balanced,
    Batches,
    Device,
    Json,
    OwnBatch,
    Proxies,
    Scale,
    Seed,
    command,
    out,
    print_json,
    progress_bar,
)
from zerocost.combine import as_proxies
from zerocost.evaluation.evaluate import evaluate as judge
from zerocost.evaluation.evaluation import Evaluation
from zerocost.proxies.registry import resolve
from zerocost.report.format import fixed, plural, seconds
from zerocost.scoring.score import DEFAULT_PROXIES as SCORE_DEFAULT
from zerocost.spaces import Fidelity

DEFAULT = ",".join(SCORE_DEFAULT)
NAMES = ", ".join(benchmarks.names())


@command
def evaluate(
    benchmark: Annotated[str, typer.Argument(help=f"A benchmark by name: {NAMES}.")],
    data: Annotated[
        str | None,
        typer.Option(
            help=f"Where batches come from: {SPECS}. Without it, the benchmark's own data, or digits in its place."
        ),
    ] = None,
    proxies: Proxies = DEFAULT,
    truth: Annotated[
        Path | None, typer.Option(help="The benchmark's file or converted folder, where it is not installed.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=3, help="Architectures to draw and score.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds that each network is built and scored with.")] = 3,
    dataset: Annotated[str | None, typer.Option(help="Dataset of the truth.")] = None,
    metric: Annotated[str | None, typer.Option(help="Metric of the truth, of which more is better.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of training behind the truth.")] = None,
    batch: OwnBatch = None,
    batches: Batches = 1,
    balanced: Balanced = False,
    fidelity: Scale = None,
    k: Annotated[
        int, typer.Option("--k", min=1, help="Highest scores that precision, best rank and regret pick.")
    ] = 10,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples behind the intervals.")] = 1000,
    seed: Seed = 0,
    device: Device = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes to score in.")] = 1,
    cache: Annotated[
        str | None,
        typer.Option(
            help="Keep scores in this file or postgresql://… database; the same command goes on after a break."
        ),
    ] = None,
    report_to: Annotated[Path | None, typer.Option("--report", help="Write an HTML report here.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Write figures here as PDF, SVG and PNG; needs the extra pictures.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the table here as CSV.")] = None,
    latex: Annotated[Path | None, typer.Option("--latex", help="Write the table here for LaTeX.")] = None,
    as_json: Json = False,
) -> None:
    """Judge proxies against trained truth, beside parameters, FLOPs and depth."""
    resolve(as_proxies(proxies))
    check_device(device)
    scale = None if fidelity is None else Fidelity.parse(fidelity)
    file = Path(cache) if cache and "://" not in cache else None
    for path in (report_to, csv, latex, file):
        if path is not None and not path.resolve().parent.is_dir():
            raise InputError(f"cannot write {path}: there is no folder {path.resolve().parent}")
    table = benchmarks.get(benchmark, truth)
    with progress_bar({"score": "scoring"}) as progress:
        evaluation = judge(
            table,
            proxies,
            data=data,
            n=n,
            seeds=seeds,
            truth=query(table, dataset, metric, epochs),
            batch=batch,
            batches=batches,
            balanced=balanced,
            fidelity=scale,
            k=k,
            resamples=resamples,
            seed=seed,
            device=device,
            workers=workers,
            cache=cache,
            progress=lambda done, total: progress("score", done, total),
        )
    written = [path for path in (report_to, csv, latex) if path]
    if report_to is not None:
        from zerocost import report

        report.write(evaluation, report_to)
    if csv is not None:
        evaluation.to_csv(csv)
    if latex is not None:
        evaluation.to_latex(latex)
    if pictures is not None:
        from zerocost.report import pictures as pictures_

        written += pictures_.save(evaluation, pictures)
    if as_json:
        print_json(as_dict(evaluation))
    else:
        show(evaluation)
        for path in written:
            out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)


def query(table: Benchmark, dataset: str | None, metric: str | None, epochs: int | None) -> Query:
    """The benchmark's default query with what was asked for in its place."""
    default = table.default
    return Query(
        dataset or default.dataset,
        metric or default.metric,
        default.epochs if epochs is None else epochs,
        default.seed,
    )


def show(evaluation: Evaluation) -> None:
    """The table with its intervals, and what failed."""
    title = (
        f"{evaluation.benchmark}: {evaluation.query}; {len(evaluation.truth)} architectures, "
        f"{len(evaluation.seeds)} seeds"
    )
    out.print(f"\n[bold]{escape(title)}[/bold]", highlight=False)
    shown = Table("score", box=None, pad_edge=False)
    for statistic in evaluation.statistics:
        shown.add_column(statistic.replace("_", "\n", 1), justify="right")
    shown.add_column("failed", justify="right")
    table = evaluation.table
    for name in map(str, table.index):
        values = [[float(table[f"{s}{part}"][name]) for part in ("", "_low", "_high")] for s in evaluation.statistics]
        cells = [
            fixed(value) + ("" if math.isnan(value) else f"\n[dim]{fixed(low)} {fixed(high)}[/dim]")
            for value, low, high in values
        ]
        shown.add_row(escape(name), *cells, f"{table['failed'][name]:.0f}")
    out.print(shown)
    networks = len(evaluation.truth) * len(evaluation.seeds)
    for note in (
        "below each mean its 95 % interval over architectures and seeds; a failed score counts as the worst",
        f"scored on {evaluation.settings['data']} at fidelity {evaluation.settings['fidelity']}: "
        f"{plural(networks, 'network')} in {seconds(evaluation.seconds)}",
    ):
        out.print(note, style="dim", highlight=False, markup=False, soft_wrap=True)
    for reason, group in list(evaluation.failures.groupby("reason"))[:5]:
        names = ", ".join(dict.fromkeys(group["proxy"]))
        count = plural(group["architecture"].nunique(), "architecture")
        out.print(f"failed for {count} ({names}): {reason}", markup=False, highlight=False, soft_wrap=True)


def as_dict(evaluation: Evaluation) -> dict[str, object]:
    """An evaluation as plain values."""
    return {
        "settings": evaluation.settings,
        "table": evaluation.table.to_dict("index"),
        "paired": evaluation.paired.to_dict("records"),
        "failures": evaluation.failures.to_dict("records"),
    }
