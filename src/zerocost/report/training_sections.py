"""The sections of the page on what was trained: its outcome, what was expected of it, and every trained candidate."""

from __future__ import annotations

import math
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


def trainings_plot(result: SearchResult) -> Plot | None:
    """The best so far against the trainings spent; None without a budget of trainings."""
    trainings = gain.trainings_in_order(result)
    if trainings["metric"].isna().all():
        return None
    metric, random = WrittenMetric.of(result.task), gain.best_at_random(result)
    text = "The dotted line is the mean best of as many of the random picks." if len(random) else ""
    figure = search_figures.trainings_figure(trainings, random, metric)
    title = f"Best {metric.words} so far, against trainings spent{gain.seeds_note(result)}"
    return Plot("trainings", figure, title, text)


def learning_plots(result: SearchResult) -> list[Plot]:
    """What was expected and what came, and what the scores are worth, as far as that is known."""
    trainings, metric = gain.trainings_in_order(result), WrittenMetric.of(result.task)
    known = trainings.dropna(subset=["mean", "metric"])
    if known.empty:
        return []
    within = int(((known["metric"] - known["mean"]).abs() <= 2 * known["std"]).sum())
    text = f"{within} of {len(known)} came within two standard deviations"
    plots = [Plot("expected", search_figures.expectation_figure(trainings, metric), "Expected and reached", text)]
    if trust := gain.known_trust(result):
        figure = search_figures.trust_figure(pd.Series(trust, dtype=float), metric)
        plots.append(Plot("trust", figure, "What the scores are worth now"))
    return plots


def trained_section(result: SearchResult, ranking: pd.DataFrame, names: Names) -> _TrainedSection:
    """Every trained candidate, best first, and what tells it from the others; of a budget in the order of training.

    Those whose training failed are among them.
    """
    trained = frames.trained_table(frames.run_table(result), failed=True)
    metric, expected = WrittenMetric.of(result.task), {one.name: one.mean for one in result.expected}
    foretold = any(mean is not None for mean in expected.values())
    places = {name: place for place, name in enumerate(expected)}
    sign = -1 if metric.higher_is_better else 1
    columns = (trained[column].tolist() for column in ("group", "name", "metric", "sd"))
    values = sorted(
        zip(*columns, strict=True),
        key=lambda row: (row[0] == frames.RANDOM, places.get(row[1], len(places)), math.isnan(row[2]), sign * row[2]),
    )
    apart = choices(names.full[name] for _, name, _, _ in values)
    rows = []
    for group, name, value, sd in values:
        reached = frames.FAILED if math.isnan(value) else metric.text(value)
        cells = [reached + ("" if math.isnan(sd) else f" ± {metric.text(sd)}")]
        if foretold:
            cells.append(metric.text(expected.get(name) if group == frames.SURVIVORS else None))
        cells.append(fmt.count(ranking["params"].get(name)))
        if names.note:
            cells.append(apart[names.full[name]])
        rows.append(_TrainedRow(name, names.title(name), group, cells))
    headings = [metric.words, *["expected"] * foretold, "parameters", *["choices that differ"] * bool(names.note)]
    return _TrainedSection(headings, rows)
