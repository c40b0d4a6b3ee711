"""The plots of a card and of a table of scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from zerocost.base.figures import BLUE, DIVERGING, ORANGE, empty_figure, label
from zerocost.base.format import formatter_for

_MOST_CANDIDATES = 30
"""Candidates of a table that are shown, the best."""


def card_figure(scores: Mapping[str, float]) -> go.Figure:
    """One bar a score, as long as the logarithm of its size; blue above 0, orange below."""
    shown = {name: value for name, value in scores.items() if value}
    figure = empty_figure(
        80 + 26 * len(shown),
        showlegend=False,
        xaxis={"title": "size of the score", "type": "log", "exponentformat": "power", "nticks": 6},
        yaxis={"type": "category", "showgrid": False, "autorange": "reversed", "ticks": ""},
        bargap=0.35,
    )
    figure.add_bar(
        x=[abs(value) for value in shown.values()],
        y=[label(name) for name in shown],
        orientation="h",
        marker={"color": [BLUE if value > 0 else ORANGE for value in shown.values()]},
        text=[formatter_for(name)(value) for name, value in shown.items()],
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    return figure


def table_figure(frame: pd.DataFrame) -> go.Figure:
    """Heat map of the best candidates by scores: the share of all candidates that each score ranks below; blue: best.

    Hovering shows the scores themselves.
    """
    scores = frame.drop(columns="rank_score").dropna(axis="columns", how="all")
    shown = scores.head(_MOST_CANDIDATES)
    below = scores.rank(method="average").sub(1).div(np.maximum(scores.notna().sum() - 1, 1)).head(_MOST_CANDIDATES)
    figure = empty_figure(
        130 + 22 * len(shown),
        xaxis={"type": "category", "showgrid": False, "tickangle": -45, "ticks": "", "side": "top"},
        yaxis={"showgrid": False, "autorange": "reversed", "ticks": ""},
        margin={"t": 90},
    )
    places = list(range(len(shown)))
    figure.update_yaxes(tickvals=places, ticktext=[label(str(name)) for name in shown.index])
    figure.add_heatmap(
        z=below.to_numpy(),
        x=[label(str(name)) for name in shown],
        y=places,
        customdata=[[formatter_for(str(c))(v) for c, v in zip(shown, row, strict=True)] for row in shown.to_numpy()],
        text=[[label(str(name))] * shown.shape[1] for name in shown.index],
        zmin=0,
        zmax=1,
        colorscale=DIVERGING,
        xgap=2,
        ygap=2,
        colorbar={"title": "above", "tickformat": ".0%", "thickness": 12},
        hovertemplate="%{text}<br>%{x} %{customdata}, above %{z:.0%} of all<extra></extra>",
    )
    return figure


def profile_figure(table: pd.DataFrame) -> go.Figure:
    """One bar a part of a profile, as long as its units; watchers, which are parts of passes, in orange."""
    shown = table[table["kind"] != "together"]
    figure = empty_figure(
        80 + 26 * len(shown),
        showlegend=False,
        xaxis={"title": "units of one forward and backward pass"},
        yaxis={"type": "category", "showgrid": False, "autorange": "reversed", "ticks": ""},
        bargap=0.35,
    )
    figure.add_bar(
        x=shown["units"].tolist(),
        y=[label(f"{kind} {name}") for kind, name in zip(shown["kind"], shown["name"], strict=True)],
        orientation="h",
        marker={"color": [ORANGE if kind == "watcher" else BLUE for kind in shown["kind"]]},
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    return figure
