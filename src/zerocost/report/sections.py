"""The sections of the page below the headline: each function gives the values that the template shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from zerocost.base import format as fmt
from zerocost.report import facts, figures, frames
from zerocost.report.candidates import is_search, ranked_by_score, with_direction
from zerocost.report.fidelity_steps import fidelity_label, table_fidelities
from zerocost.report.gain import spent_budget
from zerocost.report.metric import WrittenMetric, formatter_of
from zerocost.report.names import Names, choices
from zerocost.statistics.association import Association, association

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult

_VISIBLE_ROWS = 100
LISTED_ROWS = 500
_NAMES = {"rank_score": "rank score", "params": "parameters"}


@dataclass(frozen=True)
class _RankingCell:
    """One table cell: its text, and the number to sort by where it has one."""

    text: str
    sort: str = ""


@dataclass(frozen=True)
class _RankingRow:
    """One ranked candidate; `full` is its full name where `name` is a short one, and `choices` what tells it apart."""

    name: str
    full: str
    choices: str
    cells: list[_RankingCell]
    marks: list[str]
    dropped: str


@dataclass(frozen=True)
class _RankingSection:
    """The ranking table.

    Attributes:
        columns: the columns after rank, candidate and status.
        rows: the candidates on the page.
        total: the number of candidates ranked.
        has_status: whether any row has a status.
        has_choices: whether names are short ones, and the choices have a column.
        visible: the number of rows shown at first.
        note: how the table is ordered and what it holds.
    """

    columns: list[str]
    rows: list[_RankingRow]
    total: int
    has_status: bool
    has_choices: bool
    visible: int
    note: str


@dataclass(frozen=True)
class Plot:
    """A figure with the id of its place on the page, its title and a sentence on what it shows."""

    id: str
    figure: go.Figure
    title: str
    text: str = ""
    min_width: int = 0


@dataclass(frozen=True)
class LossGroup:
    """Candidates or runs lost at one stage.

    Attributes:
        title: the stage.
        part: what `part` is of a candidate: a proxy, a run, or nothing.
        reasons: reason, parts, number of candidates, and examples.
        everything: candidate, part and reason of each loss.
    """

    title: str
    part: str
    reasons: list[tuple[str, str, str, str]]
    everything: list[tuple[str, str, str]]


def stage_rows(result: SearchResult) -> list[tuple[str, str, float, str, str]]:
    """Name, count, percentage of the largest count, time and detail of each stage."""
    most = max((stage.count for stage in result.stages), default=0) or 1
    return [
        (s.name, f"{s.count:,}", round(100 * s.count / most, 1), fmt.seconds(s.seconds), s.detail)
        for s in result.stages
    ]


def ranking_section(result: SearchResult, table: pd.DataFrame, trained: pd.DataFrame, names: Names) -> _RankingSection:
    """The best `LISTED_ROWS` candidates and every trained one."""
    runs, metric = frames.run_table(result), WrittenMetric.of(result.task)
    ended = frames.trained_table(runs, failed=True)
    groups = ended.groupby("name")["group"].agg(list).to_dict()
    failed = set(groups) - set(trained["name"])
    kept = set(result.kept.frame.index) if result.kept.dropped else set()
    front = set(result.front) if len(result.objectives) > 1 else set()
    stopped = set(runs["name"][runs["state"] == frames.STOPPED]) - set(groups)
    shown = dict.fromkeys(["rank_score"] if ranked_by_score(result) else result.objectives)
    if len(trained):
        shown[frames.TRAINED] = None
    scores = [str(name) for name in result.table.frame if name != "rank_score"]
    shown |= dict.fromkeys(["params", *(name for name in result.table.proxies if name in table), *scores])
    formats = {name: metric.text if name == frames.TRAINED else formatter_of(name) for name in shown}
    listed = (table.reset_index().index < LISTED_ROWS) | table.index.isin(groups)
    known = choices(names.full[str(name)] for name in table.index[listed]) if names.note else {}
    budget = spent_budget(result)
    rows = []
    for name, values in table[listed].iterrows():
        cells = [_cell(values["rank"], lambda v: f"{v:.0f}")]
        cells += [_cell(values[column], write) for column, write in formats.items()]
        is_trained = budget and name in kept and name not in failed
        marks = ["front"] * (name in front) + ["trained"] * is_trained + ["kept"] * (name in kept and not budget)
        marks += ["random pick"] * (frames.RANDOM in groups.get(name, []))
        marks += ["stopped"] * (name in stopped) + ["failed"] * (name in failed)
        full = names.title(str(name))
        why = "" if name in groups and values["dropped"].startswith(frames.UNTRAINED) else values["dropped"]
        rows.append(_RankingRow(str(name), full, known.get(full, ""), cells, marks, why))
    titles = {**_NAMES, frames.TRAINED: f"trained {metric.words}"}
    columns = [titles.get(column, column) for column in formats]
    has_status = any(row.marks or row.dropped for row in rows)
    note = _ranking_note(result, len(rows), names)
    return _RankingSection(columns, rows, len(table), has_status, bool(known), _VISIBLE_ROWS, note)


def _ranking_note(result: SearchResult, listed: int, names: Names) -> str:
    """How the ranking is ordered, and what its columns and rows are."""
    scale = facts.scoring_fidelity(result)
    parts = [
        "Best rank score first"
        if ranked_by_score(result)
        else f"Best first by {', '.join(map(with_direction, result.objectives))}"
    ]
    if len(result.objectives) > 1:
        parts[0] += ": front by front, and the least crowded first within a front"
    parts += [names.note] if names.note else []
    parts += ["Click a header to sort", "Higher is better for every proxy", f"“{fmt.MISSING}”: no value"]
    if scale and is_search(result):
        parts.append(f"Scores are those of scaled-down networks ({scale}); sizes are those of the full networks")
    elif scale:
        parts.append(f"Scores and parameters are those of the scaled-down networks that were scored ({scale})")
    if result.earlier:
        last = fidelity_label(table_fidelities(result)[-1])
        parts.append(f"Only the {len(result.table):,} scored again at {last} are listed")
    if listed < len(result.table):
        parts.append(f"Only the best {LISTED_ROWS:,} of {len(result.table):,} and every trained candidate are listed")
    return ". ".join(parts) + "."


def _cell(value: float, write: fmt.Formatter) -> _RankingCell:
    return _RankingCell(fmt.MISSING) if pd.isna(value) else _RankingCell(write(value), f"{value:.8g}")


def metric_plots(result: SearchResult, table: pd.DataFrame, trained: pd.DataFrame) -> list[Plot]:
    """Each score against the metric, with their rank correlation; empty for fewer than three trained candidates."""
    points = trained[trained["name"].isin(table.index)].drop_duplicates("name")
    if len(points) < 3:
        return []
    plots, metric = [], WrittenMetric.of(result.task)
    first = ["rank_score"] if ranked_by_score(result) else list(result.objectives)
    for place, column in enumerate(dict.fromkeys([*first, *frames.comparable_columns(result.table)])):
        name = _NAMES.get(column, column)
        scored = points.assign(score=table[column].astype(float)[points["name"]].to_numpy())
        figure = figures.metric_scatter(scored, name, metric)
        found = association(scored["score"], scored["metric"])
        plots.append(Plot(f"relation-{place}", figure, name, correlation_text(found)))
    return plots


def correlation_text(found: Association) -> str:
    """A rank correlation in words, and whether the sample is large enough for it."""
    if found.kendall is None:
        reason = "too few to correlate" if found.n < 3 else "no correlation: all values are equal"
        return f"n = {found.n}, {reason}"
    kendall, rest = fmt.fixed(found.kendall), f"ρ = {fmt.fixed(found.spearman)}, n = {found.n}"
    if found.interval is None:
        return f"τ = {kendall}, {rest}: too few to tell"
    low, high = found.interval
    doubt = "; no relation shown" if low <= 0 <= high else ""
    return f"τ = {kendall} ({fmt.fixed(low)} to {fmt.fixed(high)}), {rest}{doubt}"


def correlation_plot(result: SearchResult) -> Plot | None:
    """Heat map of the rank correlations of scores; None for fewer than two scores."""
    correlations = frames.score_correlations(result.table)
    if len(correlations) < 2 or len(result.table.frame) < 3:
        return None
    correlations = correlations.rename(index=_NAMES, columns=_NAMES)
    title, width = "Spearman rank correlation of scores", 100 + 36 * len(correlations)
    return Plot("correlations", figures.correlation_heatmap(correlations), title, min_width=width)


def curve_plots(result: SearchResult) -> list[Plot]:
    """Learning curves: the metric, and the loss."""
    epochs = frames.epoch_table(result)
    if epochs.empty:
        return []
    metric = WrittenMetric.of(result.task)
    epochs = epochs.assign(metric=metric.scale * epochs["metric"].astype(float))
    curve = figures.learning_curves(epochs, "metric", f"validation {metric.axis}")
    loss = figures.learning_curves(epochs, "validation_loss", "loss", also="train_loss")
    return [
        Plot("curve-metric", curve, f"Validation {metric.words}"),
        Plot("curve-loss", loss, "Validation loss (solid) and training loss (dotted)"),
    ]


def loss_groups(result: SearchResult, table: pd.DataFrame) -> list[LossGroup]:
    """What was refused, dropped, not scored or failed in training, by reason."""
    everything = frames.exclusions(result, table)
    again = fidelity_label(table_fidelities(result)[-1])
    kinds = {
        "refused": ("Refused before scoring", ""),
        "behind": (f"Not scored again at {again}" if len(result.earlier) == 1 else "Not scored again", ""),
        "dropped": ("Dropped by the filter", ""),
        "untrained": ("Not trained, as the budget was spent on others", ""),
        "scoring": ("Could not be scored", "proxy"),
        "training": ("Failed in training", "run"),
    }
    return [
        group_losses(title, part, rows, set(result.table.proxies))
        for kind, (title, part) in kinds.items()
        if len(rows := everything[everything["kind"] == kind])
    ]


def group_losses(title: str, part: str, rows: pd.DataFrame, proxies: set[str]) -> LossGroup:
    """Losses of one kind, grouped by reason.

    Args:
        title: the title of the group.
        part: what a part is: "proxy", "run" or nothing.
        rows: candidate, part and reason of each loss.
        proxies: all proxies; a reason that concerns each of them is said to concern "all proxies".
    """
    reasons = [
        (
            reason,
            "all proxies" if len(proxies) > 1 and proxies <= set(parts) else ", ".join(parts),
            f"{len(names):,}",
            ", ".join(map(fmt.shorten, names[:3])),
        )
        for reason, parts, names in frames.group_by_reason(rows).itertuples(index=False)
    ]
    everything = list(rows[["candidate", "part", "reason"]].itertuples(index=False, name=None))
    return LossGroup(title, part, reasons, everything)
