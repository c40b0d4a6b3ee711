"""The sections of the page on what was trained: its outcome, what was expected of it, and every trained candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from zerocost.base import format as fmt
from zerocost.report import figures, frames, gain, search_figures
from zerocost.report.facts import sample_note
from zerocost.report.metric import WrittenMetric
from zerocost.report.names import Names, choices
from zerocost.report.sections import Plot

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult


@dataclass(frozen=True)
class _TrainedRow:
    """One trained candidate: its names, its group, and the cells after these."""

    name: str
    full: str
    group: str
    cells: list[str]


@dataclass(frozen=True)
class _TrainedSection:
    """All trained candidates, with the headings of the cells."""

    headings: list[str]
    rows: list[_TrainedRow]


def outcome_plot(result: SearchResult, trained: pd.DataFrame, runs: pd.DataFrame) -> Plot | None:
    """Survivors beside random picks; None when no run finished."""
    if trained.empty:
        return None
    metric = WrittenMetric.of(result.task)
    means = [
        f"{group}: mean {metric.text(ours['metric'].mean())} ({sample_note(ours, runs[runs['group'] == group])})"
        for group, ours in trained.groupby("group", sort=False)
    ]
    figure = figures.metric_by_group(trained, runs, metric)
    return Plot("outcome", figure, f"Validation {metric.words} by group", "; ".join(means))


def trainings_plot(result: SearchResult, trained: pd.DataFrame) -> Plot | None:
    """The best so far against the trainings spent; None without a budget of trainings."""
    trainings = gain.trainings_in_order(result, trained)
    if trainings["metric"].isna().all():
        return None
    metric, random = WrittenMetric.of(result.task), gain.best_at_random(result, trained)
    text = "The dotted line is the mean best of as many of the random picks." if len(random) else ""
    figure = search_figures.trainings_figure(trainings, random, metric)
    return Plot("trainings", figure, f"Best {metric.words} so far, against trainings spent", text)


def learning_plots(result: SearchResult, trained: pd.DataFrame) -> list[Plot]:
    """What was expected and what came, and what the scores are worth; none without an expectation."""
    trainings, metric = gain.trainings_in_order(result, trained), WrittenMetric.of(result.task)
    known = trainings.dropna(subset=["mean", "metric"])
    if known.empty:
        return []
    within = int(((known["metric"] - known["mean"]).abs() <= 2 * known["std"]).sum())
    text = f"{within} of {len(known)} came within two standard deviations"
    trust = pd.Series(result.trust, dtype=float)
    return [
        Plot("expected", search_figures.expectation_figure(trainings, metric), "Expected and reached", text),
        Plot("trust", search_figures.trust_figure(trust, metric), "What the scores are worth now"),
    ]


def trained_section(result: SearchResult, trained: pd.DataFrame, ranking: pd.DataFrame, names: Names) -> _TrainedSection:
    """Every trained candidate, best first, and what tells it from the others; of a budget in the order of training."""
    metric, order = WrittenMetric.of(result.task), {one.name: one for one in result.expected}
    rows = trained.sort_values("metric", ascending=not metric.higher_is_better, kind="stable")
    places = {name: place for place, name in enumerate(order)}
    rows = rows.sort_values("name", key=lambda column: column.map(places).fillna(len(places)), kind="stable")
    rows = rows.sort_values("group", key=lambda column: column == frames.RANDOM, kind="stable")
    apart = choices(names.full[name] for name in rows["name"])
    headings = [metric.words, *["expected"] * bool(order), "parameters", *["choices that differ"] * bool(names.note)]
    made = []
    for row in rows.itertuples():
        expected = order[row.name].mean if row.group == frames.SURVIVORS and row.name in order else None
        spread = "" if pd.isna(row.sd) else f" ± {metric.text(row.sd)}"
        cells = [f"{metric.text(row.metric)}{spread}", *[metric.text(expected)] * bool(order)]
        cells += [fmt.count(ranking["params"].get(row.name)), *[apart[names.full[row.name]]] * bool(names.note)]
        made.append(_TrainedRow(row.name, names.title(row.name), row.group, cells))
    return _TrainedSection(headings, made)
