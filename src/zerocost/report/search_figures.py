"""The plots of how a search went: its front, the best so far, the order at two fidelities, and what it learnt."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from zerocost.base.figures import BLUE, ORANGE, count_axis, empty_figure, label
from zerocost.base.format import number
from zerocost.base.units import unit_of
from zerocost.report.candidates import with_direction
from zerocost.report.figures import COLOURS, is_wide, range_around
from zerocost.report.frames import RANDOM, SURVIVORS
from zerocost.report.metric import WrittenMetric, formatter_of
from zerocost.tasks.metrics import is_share, minimised

if TYPE_CHECKING:
    from zerocost.report.front import Front
    from zerocost.report.names import Names

OTHERS, FRONT, KEPT, _KNEE = "#8a93a1", "#1f9d72", COLOURS[SURVIVORS], COLOURS[RANDOM]
MOST_POINTS = 1000
"""Most points of a plot that are neither on the front nor kept; of more, every second, third, … is shown."""
_MOST_LINES = 6
"""Most lines of a full name, for hovering."""


def _thin_out(points: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_POINTS` of the rows, evenly."""
    return points.iloc[:: -(-len(points) // MOST_POINTS)] if len(points) > MOST_POINTS else points


def _hover_texts(points: pd.DataFrame, names: Names | None = None) -> list[str]:
    """The name, the full name where that is another, and the objectives of each row, for hovering."""
    columns = list(map(str, points.columns))
    lines = [
        [
            label(str(name)),
            *(html.escape(line, quote=False) for line in (_wrapped(names.title(str(name))) if names else [])),
            *(f"{label(c)} {formatter_of(c)(value)}" for c, value in zip(columns, row, strict=True)),
        ]
        for name, *row in points.itertuples(name=None)
    ]
    return ["<br>".join(line) for line in lines]


def _wrapped(name: str) -> list[str]:
    """A long name in short lines, broken behind commas."""
    return textwrap.wrap(name.replace(",", ", "), 48)[:_MOST_LINES]


def front_figure(points: pd.DataFrame, front: Front, kept: Collection[str], names: Names) -> go.Figure:
    """All architectures by two objectives or limited costs, `points`; the kept ringed, the knee a star.

    The front is joined by steps where it is of these two alone.
    """
    across, up = map(str, points.columns)
    is_front = points.index.isin(front.names)
    on_front, others = points[is_front].sort_values(across), _thin_out(points[~is_front])
    axes = [_objective_axis(name, points[name], name in front.falling) for name in (across, up)]
    figure = empty_figure(400, xaxis=axes[0], yaxis=axes[1])
    steps = {"shape": "hv" if across in front.falling else "vh", "width": 2, "color": FRONT}
    joined = front.is_of((across, up))
    for rows, name, look in (
        (others, "not on the front", {"mode": "markers", "marker": {"color": OTHERS, "size": 6, "opacity": 0.7}}),
        (
            on_front,
            "on the front",
            {"mode": "lines+markers" if joined else "markers", "line": steps, "marker": {"color": FRONT, "size": 9}},
        ),
        (
            points[points.index == front.knee],
            "knee",
            {"mode": "markers", "marker": {"color": _KNEE, "size": 15, "symbol": "star"}},
        ),
        (
            points[points.index.isin(list(kept))],
            "kept",
            {"mode": "markers", "marker": {"color": KEPT, "size": 19, "symbol": "circle-open", "line": {"width": 2}}},
        ),
    ):
        if len(rows):
            hover = {"text": _hover_texts(rows, names), "hovertemplate": "%{text}<extra></extra>"}
            figure.add_scatter(x=rows[across], y=rows[up], name=name, **look, **hover)
    return figure


def _objective_axis(name: str, column: pd.Series[float], less: bool) -> dict[str, object]:
    """The axis of an objective, with its unit and its direction."""
    unit, wide = unit_of(name), is_wide(column)
    least = 2 if unit == "B" else 3 if formatter_of(name) is not number else 6
    scale = {"type": "log", "exponentformat": "power", "dtick": 1} if wide else {"exponentformat": "SI"}
    scale |= {"tickformat": ".0%"} if is_share(name) else {}
    suffix = unit if unit == "B" and not wide else f" {unit}" * bool(unit)
    return {
        "title": label(with_direction(name, less)),
        **{"nticks": 6, "minexponent": least, "ticksuffix": suffix, **scale},
    }


def history_figure(proposed: pd.DataFrame, best: pd.Series[float]) -> go.Figure:
    """The best so far against the number measured; for a single objective also the value of each."""
    names = list(map(str, proposed.columns))
    figure = empty_figure(
        320,
        xaxis=count_axis("architectures measured", len(proposed)),
        yaxis=_progress_axis(names, proposed),
    )
    share = 1 < len(names) <= 3
    if len(names) == 1:
        each = _thin_out(proposed.assign(count=range(1, len(proposed) + 1)).dropna())
        figure.add_scatter(
            x=each["count"],
            y=each[names[0]],
            mode="markers",
            name="each",
            marker={"color": OTHERS, "size": 6, "opacity": 0.6},
            text=_hover_texts(each[names]),
            hovertemplate="%{text}<extra></extra>",
        )
    shown = best[best.diff().ne(0) | (best.index == best.index[-1])]
    written = [f"{100 * v:.1f} %" if share else formatter_of(names[0] if len(names) == 1 else "")(v) for v in shown]
    figure.add_scatter(
        x=shown.index,
        y=100 * shown if share else shown,
        mode="lines" if len(shown) > 1 else "markers",
        name="best so far" if len(names) == 1 else "front so far",
        line={"color": FRONT, "width": 3, "shape": "hv"},
        text=written,
        hovertemplate="after %{x}: %{text}<extra></extra>",
    )
    return figure


def _progress_axis(names: Sequence[str], proposed: pd.DataFrame) -> dict[str, object]:
    """The vertical axis of `history_figure`."""
    if len(names) == 1:
        return _objective_axis(names[0], proposed[names[0]], minimised(names[0]))
    if len(names) <= 3:
        return {"title": "hypervolume (% of the final front)", "rangemode": "tozero"}
    return {"title": "architectures on the front", "rangemode": "tozero"}


def reordering_figure(ranks: pd.DataFrame, before: str, after: str, kept: Collection[str]) -> go.Figure:
    """The places of candidates at one fidelity and at the next, the best at the lower left; the kept ringed."""
    last = len(ranks) + 0.5
    places = {"range": [0.5, last], "nticks": 6, "showgrid": True}
    figure = empty_figure(
        300,
        showlegend=False,
        xaxis=count_axis(f"place at {label(before)}", len(ranks)) | places,
        yaxis=count_axis(f"place at {label(after)}", len(ranks)) | places,
    )
    figure.add_scatter(
        x=[0.5, last], y=[0.5, last], mode="lines", line={"color": OTHERS, "width": 1, "dash": "dot"}, hoverinfo="skip"
    )
    is_kept = ranks.index.isin(list(kept))
    for rows, look in (
        (ranks[~is_kept], {"color": OTHERS, "size": 7}),
        (ranks[is_kept], {"color": KEPT, "size": 9}),
    ):
        figure.add_scatter(
            x=rows["before"],
            y=rows["after"],
            mode="markers",
            marker=look,
            text=[label(str(name)) for name in rows.index],
            hovertemplate="%{text}<br>%{x}, then %{y}<extra></extra>",
        )
    return figure


def trainings_figure(trainings: pd.DataFrame, random: pd.Series[float], metric: WrittenMetric) -> go.Figure:
    """The best so far against the trainings spent, beside the expected best of as many random picks."""
    figure = _figure_by_training(340, len(trainings), metric)
    figure.add_scatter(
        x=trainings.index,
        y=metric.scale * trainings["metric"],
        mode="markers",
        name="each training",
        marker={"color": BLUE, "size": 7, "opacity": 0.5},
        text=trainings["name"].map(label),
        hovertemplate=f"%{{text}}: {metric.hover}<extra></extra>",
    )
    for series, name, line, symbol in (
        (trainings["best"], "best so far", {"color": BLUE, "width": 3, "shape": "hv"}, "circle"),
        (random, "best of as many random picks", {"color": ORANGE, "width": 2, "dash": "dot"}, "diamond"),
    ):
        if len(series):
            figure.add_scatter(
                x=series.index,
                y=metric.scale * series,
                mode="lines" if len(series) > 1 and symbol == "circle" else "lines+markers",
                name=name,
                line=line,
                marker={"size": 8, "symbol": symbol},
                hovertemplate=f"{name}, %{{x}}: {metric.hover}<extra></extra>",
            )
    return figure


def expectation_figure(trainings: pd.DataFrame, metric: WrittenMetric) -> go.Figure:
    """What was expected just before each training, with two standard deviations, and what it gave.

    The axis is that of the means and of what was reached; deviations can run out of it.
    """
    figure, expected = _figure_by_training(320, len(trainings), metric), trainings.dropna(subset=["mean"])
    figure.update_yaxes(range=range_around(pd.concat([trainings["metric"], expected["mean"]]), metric))
    figure.add_scatter(
        x=expected.index,
        y=metric.scale * expected["mean"],
        error_y={"array": 2 * metric.scale * expected["std"], "color": OTHERS, "thickness": 2, "width": 5},
        mode="markers",
        name="expected, ± 2 standard deviations",
        marker={"color": OTHERS, "size": 14, "symbol": "line-ew-open", "line": {"width": 3}},
        text=expected["name"].map(label),
        hovertemplate=f"%{{text}}: expected {metric.hover}<extra></extra>",
    )
    figure.add_scatter(
        x=trainings.index,
        y=metric.scale * trainings["metric"],
        mode="markers",
        name="reached",
        marker={"color": BLUE, "size": 9},
        text=trainings["name"].map(label),
        hovertemplate=f"%{{text}}: reached {metric.hover}<extra></extra>",
    )
    return figure


def _figure_by_training(height: int, last: int, metric: WrittenMetric) -> go.Figure:
    return empty_figure(height, xaxis=count_axis("trainings", last), yaxis={"title": f"validation {metric.axis}"})


def trust_figure(trust: pd.Series[float], metric: WrittenMetric) -> go.Figure:
    """One bar for the score and one for each proxy: what a standard deviation of it is worth, more is better."""
    gain = "gain in expected" if metric.higher_is_better else "reduction of expected"
    unit = " (points)" if metric.scale == 100 else ""
    figure = empty_figure(
        80 + 30 * len(trust),
        showlegend=False,
        xaxis={"title": f"{gain}<br>{metric.words}{unit}", "zeroline": True, "zerolinecolor": OTHERS, "nticks": 6},
        yaxis={"type": "category", "showgrid": False, "autorange": "reversed", "ticks": ""},
        bargap=0.35,
    )
    figure.add_bar(
        x=metric.scale * trust,
        y=[label(str(name)) for name in trust.index],
        orientation="h",
        marker={"color": [BLUE if value >= 0 else ORANGE for value in trust]},
        text=[metric.difference(value) for value in trust],
        textposition="none",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    return figure
