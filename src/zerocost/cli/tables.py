"""Results as tables in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.markup import escape
from rich.table import Table

from zerocost.cli.common import out
from zerocost.tables import ScoreTable
from zerocost.train.run import Run


def print_ranking(table: ScoreTable, title: str, limit: int = 50) -> None:
    """The best rows of a ranking."""
    out.print(f"\n[bold]{escape(title)}[/bold]", highlight=False)
    shown = Table("", box=None, pad_edge=False)
    shown.add_column("candidate", overflow="fold")
    for column in table.frame.columns:
        shown.add_column(column, justify="right")
    for place, (name, row) in enumerate(table.frame.head(limit).iterrows(), start=1):
        spread = table.cards[str(name)].spread
        cells = (cell(v, c) + (f" ± {spread[str(c)]:.2g}" if spread.get(str(c)) else "") for c, v in row.items())
        shown.add_row(str(place), escape(str(name)), *cells)
    out.print(shown)
    if len(table) > limit:
        out.print(f"… and {len(table) - limit} more; --json gives all", style="dim")


def cell(value: float, column: object) -> str:
    """A number to read: counts whole, scores with four digits that matter."""
    if math.isnan(value):
        return "failed"
    return f"{value:,.0f}" if column in ("params", "flops") else f"{value:.6g}"


def print_failures(table: ScoreTable, limit: int = 5) -> None:
    """Failed scores, counted by reason."""
    failures = table.failures
    if failures.empty:
        return
    out.print(f"\n[bold]scores failed for {failures['candidate'].nunique()} of {len(table)} candidates[/bold]")
    for reason, group in list(failures.groupby("reason"))[:limit]:
        names = [escape(name) for name in dict.fromkeys(group["candidate"])]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        proxies = ", ".join(dict.fromkeys(group["proxy"]))
        out.print(f"  {escape(str(reason))} [dim]({proxies})[/dim]: {shown}", highlight=False, soft_wrap=True)


def print_training(survivors: Sequence[Run], random: Sequence[Run]) -> None:
    """What the filter bought: survivors' and random picks' validation accuracy, by training seed and over all."""
    seeds = sorted({run.seed for run in survivors})
    out.print("\n[bold]what the filter bought[/bold]")
    shown = Table("validation accuracy, %", box=None, pad_edge=False)
    for seed in seeds:
        shown.add_column(f"seed {seed}", justify="right")
    shown.add_column("mean", justify="right")
    shown.add_column("best", justify="right")
    shown.add_column("runs", justify="right")
    for title, runs in (("survivors", survivors), ("random picks", random)):
        by_seed = [accuracies([run for run in runs if run.seed == seed]) for seed in seeds]
        everything = accuracies(runs)
        shown.add_row(
            title,
            *(percent(float(np.mean(values))) if len(values) else "—" for values in by_seed),
            percent(float(np.mean(everything))) if len(everything) else "—",
            percent(max(everything)) if len(everything) else "—",
            str(len(everything)),
        )
    out.print(shown)


def accuracies(runs: Sequence[Run]) -> list[float]:
    """Accuracies of the runs that ended well."""
    return [run.accuracy for run in runs if run.accuracy is not None and run.failure is None]


def percent(share: float) -> str:
    """A share as a percentage with one decimal.

    >>> percent(0.9314)
    '93.1'
    """
    return f"{100 * share:.1f}"
