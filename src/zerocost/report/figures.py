"""The plots of the report: each function takes a table and gives a plotly figure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from zerocost.base.figures import BLUE, DIVERGING, ORANGE, count_axis, empty_figure, label
from zerocost.base.format import count, fixed, number
from zerocost.report.frames import FINISHED, RANDOM, STOPPED, SURVIVORS
from zerocost.report.metric import ACCURACY, WrittenMetric
from zerocost.statistics.association import mean_interval

_GROUPS = (SURVIVORS, RANDOM)
COLOURS = {SURVIVORS: BLUE, RANDOM: ORANGE}
_SYMBOLS = {SURVIVORS: "circle", RANDOM: "diamond"}


def is_wide(column: pd.Series[float]) -> bool:
    """Whether values are positive and span more than three powers of ten, which asks for a logarithmic axis."""
    return bool(len(column) and column.min() > 0 and column.max() / column.min() > 1000)


def score_axis(values: pd.Series[float]) -> dict[str, object]:
    """The scale of an axis of scores, with whole powers of ten where they span more than three.

    >>> score_axis(pd.Series([1.0, 1e12]))["dtick"], score_axis(pd.Series([1.0, 1e4]))["dtick"]
    (3, 1)
    >>> score_axis(pd.Series([1.0, 100.0]))
    {'type': 'linear', 'exponentformat': 'SI', 'nticks': 5}
    """
    if not is_wide(values):
        return {"type": "linear", "exponentformat": "SI", "nticks": 5}
    powers = math.log10(values.max() / values.min())
    return {"type": "log", "exponentformat": "power", "dtick": math.ceil(powers / 5), "tickfont": {"size": 11}}


def metric_by_group(candidates: pd.DataFrame, runs: pd.DataFrame, metric: WrittenMetric = ACCURACY) -> go.Figure:
    """The metric of survivors beside random picks: runs, candidate means, group mean with 95 % interval.

    The axis is that of the runs, so that a wide interval, of few candidates, runs out of it.
    """
    groups = [group for group in _GROUPS if (candidates["group"] == group).any()]
    figure = empty_figure(
        360,
        xaxis={
            "tickvals": list(range(len(groups))),
            "ticktext": [f"{group}<br>n = {(candidates['group'] == group).sum()}" for group in groups],
            "range": [-0.6, len(groups) - 0.4],
            "showgrid": False,
        },
        yaxis={"title": f"validation {metric.axis}", "range": range_around(runs["metric"], metric)},
    )
    for place, group in enumerate(groups):
        ours = candidates[candidates["group"] == group].sort_values("metric", ascending=not metric.higher_is_better)
        at = dict(zip(ours["name"], place + np.linspace(-0.32, 0.12, len(ours) + 2)[1:-1], strict=True))
        each = runs[(runs["group"] == group) & runs["metric"].notna()]
        colour, first = COLOURS[group], place == 0
        figure.add_scatter(
            x=each["name"].map(at),
            y=metric.scale * each["metric"],
            mode="markers",
            name="one run",
            legendgroup="run",
            showlegend=first,
            marker={"color": colour, "size": 6, "opacity": 0.4, "symbol": _SYMBOLS[group]},
            text=[f"{label(n)}<br>seed {s}" for n, s in zip(each["name"], each["seed"], strict=True)],
            hovertemplate=f"%{{text}}: {metric.hover}<extra></extra>",
        )
        figure.add_scatter(
            x=ours["name"].map(at),
            y=metric.scale * ours["metric"],
            mode="markers",
            name="candidate, mean over seeds",
            legendgroup="candidate",
            showlegend=first,
            marker={"color": colour, "size": 11, "symbol": _SYMBOLS[group]},
            text=[label(name) for name in ours["name"]],
            hovertemplate=f"%{{text}}<br>mean {metric.hover}<extra></extra>",
        )
        values = metric.scale * ours["metric"]
        mean, interval = values.mean(), mean_interval(values)
        half = mean - interval[0] if interval else None
        ends = [metric.text(end / metric.scale) for end in interval or ()]
        between = f", 95 % interval {' to '.join(ends)}" if ends else ""
        figure.add_scatter(
            x=[place + 0.28],
            y=[mean],
            mode="markers",
            name="group mean, 95 % interval",
            legendgroup="mean",
            showlegend=first,
            marker={"color": colour, "size": 22, "symbol": "line-ew-open", "line": {"width": 3}},
            error_y={"array": [half], "thickness": 2, "width": 7, "color": colour} if half else None,
            hovertemplate=f"{group}: mean {metric.hover}{between}<extra></extra>",
        )
    return figure


def range_around(values: pd.Series[float], metric: WrittenMetric) -> list[float]:
    """The axis on which these values of a metric take the middle half; that of a share ends near 0 and 100 %."""
    scaled = metric.scale * values.dropna()
    low, high = float(scaled.min()), float(scaled.max())
    margin = (high - low) / 2 or abs(high) / 20 or 1.0
    ends = [low - margin, high + margin]
    return [max(ends[0], -3.0), min(ends[1], 103.0)] if metric.scale == 100 else ends


def metric_scatter(points: pd.DataFrame, axis: str, metric: WrittenMetric = ACCURACY) -> go.Figure:
    """Scatter of one score against the metric; `points` has group, name, score, metric, one row a candidate."""
    points = points[np.isfinite(points["score"])]
    write, least_exponent = (count, 3) if axis == "parameters" else (number, 6)
    figure = empty_figure(
        250,
        showlegend=False,
        xaxis={"title": label(axis), "minexponent": least_exponent, **score_axis(points["score"])},
        yaxis={"title": metric.axis.replace(", ", ",<br>"), "nticks": 6},
    )
    for group in _GROUPS:
        ours = points[points["group"] == group]
        figure.add_scatter(
            x=ours["score"],
            y=metric.scale * ours["metric"],
            mode="markers",
            name=group,
            marker={"color": COLOURS[group], "size": 9, "symbol": _SYMBOLS[group], "opacity": 0.85},
            text=[
                f"{label(name)}<br>{label(axis)} {write(score)}<br>{metric.words} {metric.text(value)}"
                for name, score, value in zip(ours["name"], ours["score"], ours["metric"], strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    return figure


def correlation_heatmap(correlations: pd.DataFrame) -> go.Figure:
    """Heat map of a square table of correlations in [-1, 1], with the numbers."""
    names = [label(name) for name in correlations.columns]
    values = correlations.to_numpy()
    text = [["" if np.isnan(v) else fixed(v) for v in row] for row in values]
    figure = empty_figure(
        130 + 38 * len(names),
        xaxis={"type": "category", "showgrid": False, "tickangle": -45, "ticks": ""},
        yaxis={"type": "category", "showgrid": False, "autorange": "reversed", "ticks": ""},
    )
    figure.add_heatmap(
        z=values,
        x=names,
        y=names,
        text=text,
        texttemplate="%{text}",
        zmin=-1,
        zmax=1,
        colorscale=DIVERGING,
        xgap=2,
        ygap=2,
        showscale=False,
        hovertemplate="%{y} and %{x}: %{text}<extra></extra>",
    )
    return figure


def _mean_curve(rows: pd.DataFrame, column: str) -> pd.Series[float]:
    """Mean over finished runs at each epoch that all of them reached."""
    finished = rows[rows["state"] == FINISHED].groupby("epoch")[column].agg(["mean", "size"])
    return pd.Series(finished["mean"][finished["size"] == finished["size"].max()], dtype=float)


def _runs_as_one_line(rows: pd.DataFrame, column: str) -> tuple[Sequence[object], Sequence[object], Sequence[str]]:
    """All runs as one line with gaps between them, so that a plot of many runs stays light."""
    x: list[object] = []
    y: list[object] = []
    text: list[str] = []
    for (name, seed), run in rows.groupby(["name", "seed"], sort=False):
        x += [*run["epoch"].tolist(), None]
        y += [*run[column].tolist(), None]
        text += [f"{label(str(name))}, seed {seed}"] * (len(run) + 1)
    return x, y, text


def learning_curves(epochs: pd.DataFrame, column: str, axis: str, also: str | None = None) -> go.Figure:
    """Learning curves: a thin line a run, a thick line for the mean of a group, a ring where a run was stopped.

    `also` is a second column, of which only the mean is shown, dotted.
    """
    last = int(epochs["epoch"].max())
    figure = empty_figure(
        360,
        xaxis=count_axis("epoch", last),
        yaxis={"title": axis},
    )
    present = {group: rows for group in _GROUPS if len(rows := epochs[epochs["group"] == group])}
    for group, rows in present.items():
        x, y, text = _runs_as_one_line(rows, column)
        figure.add_scatter(
            x=x,
            y=y,
            text=text,
            mode="lines" if last > 1 else "markers",
            showlegend=False,
            line={"color": COLOURS[group], "width": 1},
            opacity=0.4,
            hovertemplate="%{text}<br>epoch %{x}: %{y:.3g}<extra></extra>",
        )
        ends = rows[rows["state"] == STOPPED].groupby(["name", "seed"], sort=False).last()
        if len(ends):
            figure.add_scatter(
                x=ends["epoch"],
                y=ends[column],
                text=[f"{label(str(name))}, seed {seed}" for name, seed in ends.index],
                mode="markers",
                name=f"{group}, stopped",
                marker={"color": COLOURS[group], "size": 7, "symbol": "circle-open", "line": {"width": 1.5}},
                hovertemplate="%{text}<br>stopped after epoch %{x}: %{y:.3g}<extra></extra>",
            )
    for group, rows in present.items():
        for series, dash, name in ((column, "solid", group), (also, "dot", f"{group}, training")):
            mean = _mean_curve(rows, series) if series else pd.Series(dtype=float)
            if mean.empty:
                continue
            figure.add_scatter(
                x=mean.index,
                y=mean,
                mode="lines+markers" if len(mean) == 1 else "lines",
                name=name,
                line={"color": COLOURS[group], "width": 3, "dash": dash},
                hovertemplate=f"mean of {name}<br>epoch %{{x}}: %{{y:.3g}}<extra></extra>",
            )
    return figure
