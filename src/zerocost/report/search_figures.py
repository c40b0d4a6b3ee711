"""The plots of how a search went: its front, the best so far, and the order at one fidelity against the next."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd
import plotly.graph_objects as go

from zerocost.base.figures import empty_figure, label
from zerocost.base.format import formatter_for
from zerocost.report.figures import COLOURS, is_wide
from zerocost.report.frames import SURVIVORS
from zerocost.report.progress import with_direction
from zerocost.search.objectives import minimised

OTHERS, FRONT, KEPT = "#8a93a1", "#1f9d72", COLOURS[SURVIVORS]
MOST_POINTS = 3000
"""Most points of a plot that are neither on the front nor kept; of more, every second, third, … is shown."""


def _thin_out(points: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_POINTS` of the rows, evenly."""
    return points.iloc[:: -(-len(points) // MOST_POINTS)] if len(points) > MOST_POINTS else points


def _hover_texts(points: pd.DataFrame) -> list[str]:
    """The name and the objectives of each row, for hovering."""
    columns = list(map(str, points.columns))
    lines = [
        [label(str(name)), *(f"{label(c)} {formatter_for(c)(value)}" for c, value in zip(columns, row, strict=True))]
        for name, *row in points.itertuples(name=None)
    ]
    return ["<br>".join(line) for line in lines]


def front_figure(points: pd.DataFrame, best: Collection[str], kept: Collection[str], *, joined: bool) -> go.Figure:
    """All architectures by two objectives, the columns of `points`; the front joined by steps, the kept ringed."""
    across, up = map(str, points.columns)
    on_front = points[points.index.isin(list(best))].sort_values(across)
    others = _thin_out(points[~points.index.isin(list(best))])
    ringed = points[points.index.isin(list(kept))]
    figure = empty_figure(400, xaxis=_objective_axis(across, points[across]), yaxis=_objective_axis(up, points[up]))
    steps = {"shape": "hv" if minimised(across) else "vh", "width": 2, "color": FRONT}
    for rows, name, look in (
        (others, "not on the front", {"mode": "markers", "marker": {"color": OTHERS, "size": 6, "opacity": 0.7}}),
        (
            on_front,
            "on the front",
            {"mode": "lines+markers" if joined else "markers", "line": steps, "marker": {"color": FRONT, "size": 9}},
        ),
        (
            ringed,
            "kept",
            {"mode": "markers", "marker": {"color": KEPT, "size": 15, "symbol": "circle-open", "line": {"width": 2}}},
        ),
    ):
        if len(rows):
            hover = {"text": _hover_texts(rows), "hovertemplate": "%{text}<extra></extra>"}
            figure.add_scatter(x=rows[across], y=rows[up], name=name, **look, **hover)
    return figure


def _objective_axis(name: str, column: pd.Series[float]) -> dict[str, object]:
    """The axis of an objective, with its direction."""
    least = 3 if formatter_for(name) is not formatter_for("") else 6
    scale = {"type": "log", "exponentformat": "power", "dtick": 1} if is_wide(column) else {"exponentformat": "SI"}
    return {"title": label(with_direction(name)), "nticks": 6, "minexponent": least, **scale}


def history_figure(proposed: pd.DataFrame, best: pd.Series[float]) -> go.Figure:
    """The best so far against the number measured; for a single objective also the value of each."""
    names = list(map(str, proposed.columns))
    figure = empty_figure(
        320,
        xaxis={"title": "architectures measured", "showgrid": False, "tickformat": "d"},
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
    written = [f"{100 * v:.1f} %" if share else formatter_for(names[0] if len(names) == 1 else "")(v) for v in shown]
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
        return _objective_axis(names[0], proposed[names[0]])
    if len(names) <= 3:
        return {"title": "hypervolume (% of the final front)", "rangemode": "tozero"}
    return {"title": "architectures on the front", "rangemode": "tozero"}


def reordering_figure(ranks: pd.DataFrame, before: str, after: str, kept: Collection[str]) -> go.Figure:
    """The places of candidates at one fidelity and at the next, the best at the lower left; the kept ringed."""
    last = len(ranks) + 0.5
    figure = empty_figure(
        300,
        showlegend=False,
        xaxis={"title": f"place at {label(before)}", "range": [0.5, last], "tickformat": "d", "nticks": 6},
        yaxis={"title": f"place at {label(after)}", "range": [0.5, last], "tickformat": "d", "nticks": 6},
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
