"""The sections of the page below the headline, each as the plain values its part of the template shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from zerocost.report import figures, frames, headline
from zerocost.report import format as fmt
from zerocost.report import progress as goals
from zerocost.statistics.association import Association, association

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult

VISIBLE_ROWS = 100
LISTED_ROWS = 2000
NAMES = {"rank_score": "rank score", "params": "parameters"}


@dataclass(frozen=True)
class Cell:
    """One table cell: its text, and the number to sort by where it has one."""

    text: str
    sort: str = ""


@dataclass(frozen=True)
class Row:
    """One ranked candidate."""

    name: str
    cells: list[Cell]
    marks: list[str]
    dropped: str


@dataclass(frozen=True)
class Ranking:
    """The ranking table: `total` candidates, of which `rows` are on the page."""

    columns: list[str]
    rows: list[Row]
    total: int
    has_status: bool
    visible: int
    note: str


@dataclass(frozen=True)
class Plot:
    """A figure with the id of its place on the page, its title and what it shows in words."""

    id: str
    figure: go.Figure
    title: str
    text: str = ""
    min_width: int = 0


@dataclass(frozen=True)
class Loss:
    """One kind of loss on the way: `reasons` grouped, and every single one."""

    title: str
    part: str
    reasons: list[tuple[str, str, str, str]]
    everything: list[tuple[str, str, str]]


def stages(result: SearchResult) -> list[tuple[str, str, float, str, str]]:
    """Name, how many came out, percentage of the largest count, time and detail of each stage."""
    most = max((stage.count for stage in result.stages), default=0) or 1
    return [
        (s.name, f"{s.count:,}", round(100 * s.count / most, 1), fmt.seconds(s.seconds), s.detail)
        for s in result.stages
    ]


def outcome(trained: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Survivors beside random picks; None when no run finished."""
    if trained.empty:
        return None
    means = trained.groupby("group", sort=False)["accuracy"].mean()
    text = "; ".join(f"{group}: mean accuracy {fmt.percent(mean)}" for group, mean in means.items())
    return Plot("outcome", figures.outcome(trained, runs), "Validation accuracy by group", text)


def ranking(result: SearchResult, table: pd.DataFrame, trained: pd.DataFrame) -> Ranking:
    """The best `LISTED_ROWS` candidates and every trained one."""
    groups = trained.groupby("name")["group"].agg(list).to_dict()
    kept = set(result.kept.frame.index) if result.kept.dropped else set()
    front = set(result.front) if len(result.objectives) > 1 else set()
    runs = frames.runs(result)
    stopped = set(runs["name"][runs["state"] == frames.STOPPED]) - set(groups)
    shown = dict.fromkeys(["rank_score"] if goals.plain(result) else result.objectives)
    if len(trained):
        shown[frames.TRAINED] = None
    scores = [str(name) for name in result.table.frame if name != "rank_score"]
    shown |= dict.fromkeys(["params", *(name for name in result.table.proxies if name in table), *scores])
    formats = {name: fmt.percent if name == frames.TRAINED else fmt.quantity(name) for name in shown}
    listed = (table.reset_index().index < LISTED_ROWS) | table.index.isin(groups)
    rows = []
    for name, values in table[listed].iterrows():
        cells = [_cell(values["rank"], lambda v: f"{v:.0f}")]
        cells += [_cell(values[column], write) for column, write in formats.items()]
        marks = ["front"] * (name in front) + ["kept"] * (name in kept)
        marks += ["random pick"] * (frames.RANDOM in groups.get(name, [])) + ["stopped"] * (name in stopped)
        rows.append(Row(str(name), cells, marks, values["dropped"]))
    columns = [NAMES.get(column, column) for column in formats]
    has_status = any(row.marks or row.dropped for row in rows)
    return Ranking(columns, rows, len(table), has_status, VISIBLE_ROWS, explained(result, len(rows)))


def explained(result: SearchResult, listed: int) -> str:
    """What is to be known of the ranking's order, its columns and its rows."""
    scale = headline.fidelity(result)
    parts = [
        "Best rank score first"
        if goals.plain(result)
        else f"Best first by {', '.join(map(goals.aim, result.objectives))}"
    ]
    if len(result.objectives) > 1:
        parts[0] += ": front by front, the least crowded of a front first"
    parts += ["A header sorts by its column", "Higher is better for every proxy", f"“{fmt.MISSING}”: no value"]
    if scale and goals.searched(result):
        parts.append(f"Scores are those of scaled-down networks ({scale}); sizes are those of the full ones")
    elif scale:
        parts.append(f"Scores and parameters are those of the scaled-down networks that were scored ({scale})")
    if result.earlier:
        parts.append(
            f"Listed are the {len(result.table):,} scored again at {goals.sized(goals.fidelities(result)[-1])}"
        )
    if listed < len(result.table):
        parts.append(f"Listed are the best {LISTED_ROWS:,} of {len(result.table):,}, and every trained one")
    return ". ".join(parts) + "."


def _cell(value: float, write: fmt.Formatter) -> Cell:
    return Cell(fmt.MISSING) if pd.isna(value) else Cell(write(value), f"{value:.8g}")


def relations(result: SearchResult, table: pd.DataFrame, trained: pd.DataFrame) -> list[Plot]:
    """One scatter a score against accuracy over the trained candidates, with its rank correlation; from three on."""
    points = trained[trained["name"].isin(table.index)].drop_duplicates("name")
    if len(points) < 3:
        return []
    plots = []
    first = ["rank_score"] if goals.plain(result) else list(result.objectives)
    for place, column in enumerate(dict.fromkeys([*first, *frames.measures(result.table)])):
        name = NAMES.get(column, column)
        scored = points.assign(score=table[column].astype(float)[points["name"]].to_numpy())
        figure = figures.against_accuracy(scored, name)
        found = association(scored["score"], scored["accuracy"])
        plots.append(Plot(f"relation-{place}", figure, name, correlation(found)))
    return plots


def correlation(found: Association) -> str:
    """A rank correlation in words, and whether its sample can carry it."""
    if found.kendall is None:
        reason = "too few to correlate" if found.n < 3 else "no correlation: all values equal"
        return f"n = {found.n}, {reason}"
    kendall, rest = fmt.fixed(found.kendall), f"ρ = {fmt.fixed(found.spearman)}, n = {found.n}"
    if found.interval is None:
        return f"τ = {kendall}, {rest}: too few to judge"
    low, high = found.interval
    judged = "; no relation shown" if low <= 0 <= high else ""
    return f"τ = {kendall} ({fmt.fixed(low)} to {fmt.fixed(high)}), {rest}{judged}"


def agreement(result: SearchResult) -> Plot | None:
    """Heat map of the proxies' rank correlations; None for fewer than two columns to compare."""
    correlations = frames.agreement(result.table)
    if len(correlations) < 2 or len(result.table.frame) < 3:
        return None
    correlations = correlations.rename(index=NAMES, columns=NAMES)
    title, width = "Spearman rank correlation of scores", 100 + 36 * len(correlations)
    return Plot("agreement", figures.agreement(correlations), title, min_width=width)


def curves(result: SearchResult) -> list[Plot]:
    """Learning curves: accuracy, and loss."""
    epochs = frames.epochs(result)
    if epochs.empty:
        return []
    epochs = epochs.assign(accuracy=100 * epochs["accuracy"].astype(float))
    accuracy = figures.curves(epochs, "accuracy", "validation accuracy (%)")
    loss = figures.curves(epochs, "validation_loss", "loss", also="train_loss")
    return [
        Plot("curve-accuracy", accuracy, "Validation accuracy"),
        Plot("curve-loss", loss, "Validation loss (solid) and training loss (dotted)"),
    ]


def lost(result: SearchResult, table: pd.DataFrame) -> list[Loss]:
    """What was dropped, could not be scored, or failed in training, by reason."""
    everything = frames.exclusions(result, table)
    again = goals.sized(goals.fidelities(result)[-1])
    kinds = {
        "refused": ("Refused before anything of it was scored", ""),
        "behind": (f"Not scored again at {again}" if len(result.earlier) == 1 else "Not scored again", ""),
        "dropped": ("Dropped by the filter", ""),
        "scoring": ("Could not be scored", "proxy"),
        "training": ("Failed in training", "run"),
    }
    return [
        grouped(title, part, rows, set(result.table.proxies))
        for kind, (title, part) in kinds.items()
        if len(rows := everything[everything["kind"] == kind])
    ]


def grouped(title: str, part: str, rows: pd.DataFrame, proxies: set[str]) -> Loss:
    """One kind of loss, its reasons counted; columns are candidate, part and reason."""
    reasons = [
        (
            reason,
            "all proxies" if len(proxies) > 1 and proxies <= set(parts) else ", ".join(parts),
            f"{len(names):,}",
            ", ".join(map(fmt.shorten, names[:3])),
        )
        for reason, parts, names in frames.by_reason(rows).itertuples(index=False)
    ]
    everything = list(rows[["candidate", "part", "reason"]].itertuples(index=False, name=None))
    return Loss(title, part, reasons, everything)
