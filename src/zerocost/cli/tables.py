"""Results as tables in the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rich.markup import escape
from rich.table import Table

from zerocost.base.format import MISSING, SPACE, fixed, formatter_for, is_count, number, plural, shorten, signed_places
from zerocost.base.units import is_cost, unit_of
from zerocost.cli.output import out, print_line
from zerocost.combine import Combination
from zerocost.report.frames import group_by_reason
from zerocost.report.gain import best_at_random, known_trust, seeds_note, trainings_in_order
from zerocost.report.headline import budget_verdict
from zerocost.report.metric import WrittenMetric
from zerocost.scoring.explanation import Explanation
from zerocost.scoring.table import ScoreTable
from zerocost.search.pipeline import SearchResult
from zerocost.tasks.metrics import is_share
from zerocost.train.run import Run

_MOST_ROWS = 50
"""Rows of a ranking that are shown, at most."""
_MOST_COLUMNS, _MOST_EXPLAINED = 6, 10
"""Proxies whose moves are shown, and candidates that are moved, at most."""
_NAME_WIDTH = 40
"""The columns of a long name in a ranking, which goes on in the next line."""
_GAP = 2
"""The spaces between two columns."""


def print_ranking(table: ScoreTable, title: str) -> None:
    """The best rows of a ranking, with the columns that the terminal has room for."""
    out.print(f"\n[bold]{escape(title)}[/bold]", highlight=False)
    best = table.frame.head(_MOST_ROWS)
    places, names = _shared_places(best["rank_score"]), [str(name) for name in best.index]
    spreads = [table.cards[name].spread for name in names]
    cells = {str(column): _column_texts(str(column), best[column], spreads) for column in best}
    longest = min(_NAME_WIDTH, max(map(len, (*names, "candidate"))))
    room = out.width - len(str(len(best))) - _GAP - longest
    columns = what_fits(cells, room, [name for name in ("rank_score", "params") if name in cells])
    shown = Table("", box=None, pad_edge=False)
    shown.add_column("candidate", overflow="fold", min_width=longest)
    for column in columns:
        shown.add_column(column, justify="right")
    for i, (place, name) in enumerate(zip(places, names, strict=True)):
        shown.add_row(place, escape(name), *(cells[column][i] for column in columns))
    out.print(shown)
    print_left_out([column for column in cells if column not in columns])
    if len(table) > _MOST_ROWS:
        out.print(f"… and {len(table) - _MOST_ROWS} more; --json gives all", style="dim")


def _column_texts(column: str, values: Iterable[float], spreads: Iterable[Mapping[str, float]]) -> list[str]:
    """The cells of a column of scores, each with its standard deviation where it is known."""
    return [
        cell_text(value, column) + (f" ± {spread[column]:.2g}" if spread.get(column) else "")
        for value, spread in zip(values, spreads, strict=True)
    ]


def what_fits(cells: Mapping[str, Iterable[str]], room: int, first: Sequence[str] = ()) -> list[str]:
    """The columns that there is room for, in their order: the first ones before the others, which go from the left.

    >>> columns = {"snip": ["1"], "zico": ["2.5"], "params": ["1,000"], "rank_score": ["0"]}
    >>> what_fits(columns, 28, first=("rank_score", "params"))
    ['snip', 'params', 'rank_score']
    """
    fitting = set()
    for name in (*first, *(name for name in cells if name not in first)):
        width = _GAP + max(len(line) for text in (name, *cells[name]) for line in text.splitlines())
        if width <= room:
            fitting.add(name)
            room -= width
    return [name for name in cells if name in fitting]


def print_left_out(columns: Sequence[str], all_by: str = "--csv FILE writes") -> None:
    """A line that names the columns that there was no room for, if any, and what has them all."""
    if columns:
        print_line(f"no room here for {', '.join(columns)}; {all_by} all", style="dim")


def _shared_places(values: Iterable[float]) -> list[str]:
    """The places of values in the order of a table; equal ones, as of twins, share one, and what has none has none.

    >>> _shared_places([3.0, 2.0, 2.0, 1.0, -math.inf])
    ['1', '2', '2', '4', '–']
    """
    places, last, before = list[str](), 0, math.nan
    for position, value in enumerate(values, start=1):
        last, before = last if value == before else position, value
        places.append(str(last) if value > -math.inf else MISSING)
    return places


def cell_text(value: float, column: object) -> str:
    """A number to read: counts whole, bytes and times with their unit, scores with six digits that matter.

    >>> cell_text(12345.0, "params"), cell_text(12345.0, "flash"), cell_text(-0.0, "snip")
    ('12,345', '12.3 kB', '0')
    >>> cell_text(0.625, "rel_flops")
    '0.625'
    """
    if math.isnan(value):
        return "failed"
    if unit_of(str(column)):
        return formatter_for(str(column))(value).replace(SPACE, " ")
    return f"{value:,.0f}" if is_count(str(column), value) else f"{value + 0.0:.6g}"


def print_failures(table: ScoreTable, limit: int = 5) -> None:
    """Failed scores by reason, what most failed of first, as in a report; how many reasons are not shown."""
    failures = table.failures
    if failures.empty:
        return
    out.print(
        f"\n[bold]scores failed for {failures['candidate'].nunique()} of {plural(len(table), 'candidate')}[/bold]"
    )
    reasons = group_by_reason(failures.rename(columns={"proxy": "part"}))
    for reason, proxies, names in reasons.head(limit).itertuples(index=False):
        shown = ", ".join(map(escape, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        out.print(f"  {escape(reason)} [dim]({', '.join(proxies)})[/dim]: {shown}", highlight=False, soft_wrap=True)
    if len(reasons) > limit:
        out.print(f"  and {plural(len(reasons) - limit, 'more reason')}, which --json lists", highlight=False)


def print_explanation(table: ScoreTable, kept: ScoreTable, combination: Combination | None = None) -> None:
    """Why the kept candidates of a table are where they are: what moved the best, what each proxy adds, what is size.

    `combination` is what to explain; the table's own if None.
    """
    why = table.explained(combination, top=len(kept) if 0 < len(kept) < len(table) else None)
    names = list(kept.frame.index[:_MOST_EXPLAINED])
    parts = why.moved if why.moved.notna().any(axis=None) else why.climbed
    size = parts.loc[names].abs().mean().fillna(0).sort_values(ascending=False, kind="stable")
    shown = [str(name) for name in parts if name in size.index[:_MOST_COLUMNS]]
    out.print(f"\n[bold]why these[/bold], by {escape(str(why.combination))}", highlight=False, soft_wrap=True)
    if not why.follows:
        out.print("the ranking above is not by this score alone; places here are by this score", style="dim")
    grid = Table("", box=None, pad_edge=False)
    grid.add_column("candidate", overflow="fold")
    for name in shown:
        grid.add_column(escape(name), justify="right", overflow="fold")
    for name in names:
        moves = [_move_text(float(parts[p][name]), float(why.climbed[p][name])) for p in shown]
        grid.add_row(fixed(float(why.place[name]), 0), escape(shorten(name)), *moves)
    if names:
        out.print(grid)
        out.print(_moves_note(why, len(why.proxies) - len(shown)), style="dim", soft_wrap=True)
    _print_proxies(why)
    out.print(f"\n{escape(why.about_size(shorten))}", highlight=False, soft_wrap=True)


def _move_text(part: float, places: float) -> str:
    """How far a proxy moved a candidate, and the places that it has from it."""
    if math.isnan(part):
        return "[dim]–[/dim]"
    arrow, colour = ("▲", "green") if part > 0 else ("▼", "red") if part < 0 else ("·", "dim")
    size = "" if part == places else f" {abs(part):.2f}"
    steps = signed_places(places)
    return f"[{colour}]{arrow}{size}[/{colour}]" + (f" ({steps})" if steps else "")


def _moves_note(why: Explanation, hidden: int) -> str:
    """What the cells of the moves are."""
    several = len(why.proxies) > 1
    if why.moved.isna().all(axis=None):
        text = "in brackets: the places it would lose without the proxy" if several else "a vote is no sum of parts"
    else:
        text = "▲ ▼ what the proxy adds to the score, against its mean over all"
        text += "; in brackets the places it would lose without the proxy" if several else ""
    return text + (f"; {plural(hidden, 'proxy', 'proxies')} that moved these less not shown" if hidden else "")


def _print_proxies(why: Explanation) -> None:
    """What each proxy adds to a ranking."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("proxy", overflow="fold")
    titles = ["weight", "τ without it", f"new in top {why.top}", "ρ with score", "beyond size", "ρ with params"]
    for title in titles:
        shown.add_column(title, justify="right")
    shown.add_column("closest to", overflow="fold")
    for name, row in why.proxies.iterrows():
        numbers = (row["tau_without"], row["spearman"], row["beyond_size"])
        tau, rho, beyond = (fixed(float(value)) for value in numbers)
        size = fixed(float(why.sizes["params"][str(name)])) if "params" in why.sizes else "–"
        closest = f"{escape(row['closest'])} ({fixed(float(row['redundancy']))})" if row["closest"] else "–"
        weight, new = number(float(row["weight"]), 3), fixed(float(row["replaced"]), 0)
        shown.add_row(escape(str(name)), weight, tau, new, rho, beyond, size, closest)
    out.print("")
    out.print(shown)


def print_training(survivors: Sequence[Run], random: Sequence[Run], title: str) -> None:
    """The metric of survivors and random picks, by training seed and over all."""
    seeds = sorted({run.seed for run in survivors})
    out.print(f"\n[bold]{title}[/bold]")
    name = survivors[0].metric_name
    shown = Table(metric_title(survivors[0]), box=None, pad_edge=False)
    for seed in seeds:
        shown.add_column(f"seed {seed}", justify="right")
    shown.add_column("mean", justify="right")
    shown.add_column("best", justify="right")
    shown.add_column("runs", justify="right")
    for group, runs in (("survivors", survivors), ("random picks", random)):
        by_seed = [metrics_of([run for run in runs if run.seed == seed]) for seed in seeds]
        everything = metrics_of(runs)
        best = (max if survivors[0].higher_is_better else min)(everything, default=math.nan)
        means = [float(np.mean(values)) if values else math.nan for values in (*by_seed, everything)]
        shown.add_row(group, *(metric_cell(name, value) for value in (*means, best)), str(len(everything)))
    out.print(shown)


def print_trained(result: SearchResult, limit: int = 5) -> None:
    """The best of what a budget was spent on, with what was expected of each just before its training."""
    metric, trainings = WrittenMetric.of(result.task), trainings_in_order(result)
    if trainings.empty:
        return
    costs = dict.fromkeys([*(name for name in result.objectives if is_cost(name)), "params"])
    rows = trainings.set_index("name").loc[result.kept.frame.index].join(result.kept.frame[[*costs]])
    if len(result.objectives) > 1:  # the front first
        rows = rows.assign(front=rows.index.isin(result.front)).sort_values("front", ascending=False, kind="stable")
    order = "best first" if len(result.objectives) == 1 else "the front first"
    out.print(f"\n[bold]trained, {len(rows)} of {len(result.table)}, {order}[/bold]", highlight=False)
    shown = Table("", box=None, pad_edge=False)
    shown.add_column("candidate", overflow="fold")
    foretold = bool(rows["mean"].notna().any())
    for title in (metric.words, *["expected"] * foretold, *costs):
        shown.add_column(title, justify="right")
    for place, (name, row) in enumerate(rows.head(limit).iterrows(), start=1):
        reached = float(row["metric"])
        numbers = ["failed" if math.isnan(reached) else metric.text(reached)]
        numbers += [metric.text(float(row["mean"]))] * foretold
        shown.add_row(str(place), escape(str(name)), *numbers, *(cell_text(float(row[c]), c) for c in costs))
    out.print(shown)
    if len(rows) > limit:
        out.print(f"… and {len(rows) - limit} more; --json gives all", style="dim")


def print_budget(result: SearchResult) -> None:
    """The best so far after 1, 2, 5, 10, … trainings beside as many random picks, and what the scores are worth."""
    metric = WrittenMetric.of(result.task)
    best, random = trainings_in_order(result)["best"], best_at_random(result)
    if best.empty:
        return
    steps = [step * 10**power for power in range(5) for step in (1, 2, 5) if step * 10**power < len(best)]
    shown = Table(f"trainings{seeds_note(result)}", box=None, pad_edge=False)
    for step in (*steps, len(best)):
        shown.add_column(str(step), justify="right")
    for title, series in (("best so far", best), ("mean best of as many random picks", random)):
        shown.add_row(title, *(metric.text(series.get(step)) for step in (*steps, len(best))))
    out.print("")
    out.print(shown)
    gains = [f"{escape(name)} {metric.difference(value)}" for name, value in known_trust(result).items()]
    if gains:
        unit = "points of " if metric.scale == 100 else ""
        saved = "" if metric.higher_is_better else " saved"
        what = f"a standard deviation is worth, in {unit}expected {metric.words}{saved}"
        out.print(f"{what}: {', '.join(gains)}", highlight=False, soft_wrap=True)
    verdict = budget_verdict(result)
    if verdict:
        print_line(verdict)


def metrics_of(runs: Sequence[Run]) -> list[float]:
    """The metric of the runs that did not fail."""
    return [run.metric for run in runs if run.metric is not None and run.failure is None]


def metric_title(run: Run) -> str:
    """The metric of a training in words, and what its numbers are: percentages, or which direction is better."""
    unit = "%" if is_share(run.metric_name) else f"{'more' if run.higher_is_better else 'less'} is better"
    return f"validation {run.metric_name.replace('_', ' ')}, {unit}"


def metric_cell(metric: str, value: float) -> str:
    """The value of a metric in a table: a share as a percentage with one decimal.

    >>> metric_cell("accuracy", 0.9314), metric_cell("perplexity", 12.345678), metric_cell("accuracy", math.nan)
    ('93.1', '12.3457', '—')
    """
    if math.isnan(value):
        return "—"
    return f"{100 * value:.1f}" if is_share(metric) else f"{value:.6g}"
