"""The plots of an evaluation's page, as plotly figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from zerocost.base.figures import BLUE, DIVERGING, GREY, ORANGE, empty_figure, label
from zerocost.base.format import fixed, number
from zerocost.report.figures import score_axis

_PALETTE = (
    BLUE,
    ORANGE,
    "#1f9d72",
    "#a44fc4",
    "#c9a200",
    "#d64b6a",
    "#17a2b8",
    "#7a6a53",
    "#5b6ee1",
    "#7aa82b",
)
_DASHES = ("solid", "dash")


def score_scatter(scores: pd.Series[float], truth: pd.Series[float], name: str, metric: str, colour: str) -> go.Figure:
    """Score (mean over seeds) against truth, one point an architecture; failed scores are left out."""
    shown = scores.dropna()
    figure = empty_figure(
        250,
        showlegend=False,
        xaxis={"title": label(name), **score_axis(shown)},
        yaxis={"title": label(metric), "nticks": 6},
    )
    figure.add_scatter(
        x=shown,
        y=truth[shown.index],
        mode="markers",
        marker={"color": colour, "size": 6 if len(shown) <= 300 else 4, "opacity": 0.6},
        text=[
            f"{label(str(a))}<br>{number(s)}, {number(t, 6)}"
            for a, s, t in zip(shown.index, shown, truth[shown.index], strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
    )
    return figure


def regret_curves(curves: pd.DataFrame, metric: str) -> go.Figure:
    """Regret against the number of networks trained, one line a score; the last column, a random pick, dotted.

    Lines far above the random one leave the frame. Their legend is the page's; in the plot it would squeeze them.
    """
    ticks = [step * 10**power for power in range(6) for step in (1, 2, 5)]
    most = 1.2 * float(curves.to_numpy()[0, -1])
    figure = empty_figure(
        360,
        showlegend=False,
        xaxis={"title": "networks trained, best scores first", "type": "log", "showgrid": False, "tickvals": ticks},
        yaxis={"title": f"regret ({label(metric)})", "range": [-0.02 * most, most]},
    )
    for place, name in enumerate(map(str, curves)):
        random = place == curves.shape[1] - 1
        figure.add_scatter(
            x=curves.index,
            y=curves[name],
            mode="lines",
            name=label(name),
            line={
                "color": GREY if random else _PALETTE[place % len(_PALETTE)],
                "width": 2,
                "dash": "dot" if random else _DASHES[place // len(_PALETTE) % 2],
            },
            hovertemplate=f"{label(name)}<br>%{{x}} trained: %{{y:.3g}}<extra></extra>",
        )
    return figure


def difference_heatmap(paired: pd.DataFrame, names: Sequence[str]) -> go.Figure:
    """Row minus column; a number is shown where the 95 % interval excludes 0."""
    values = pd.DataFrame(np.nan, index=list(names), columns=list(names))
    text, hover = (pd.DataFrame("", index=list(names), columns=list(names)) for _ in range(2))
    for _, row in paired.iterrows():
        for sign, a, b in ((1, row["first"], row["second"]), (-1, row["second"], row["first"])):
            low, high = sorted((sign * row["low"], sign * row["high"]))
            values.loc[a, b] = sign * row["difference"]
            text.loc[a, b] = fixed(sign * row["difference"]) if low > 0 or high < 0 else ""
            hover.loc[a, b] = f"{fixed(sign * row['difference'])} ({fixed(low)} to {fixed(high)})"
    most = float(np.nanmax(np.abs(values.to_numpy()), initial=1e-9))
    labels = [label(str(name)) for name in names]
    figure = empty_figure(
        130 + 34 * len(labels),
        xaxis={"type": "category", "showgrid": False, "tickangle": -45, "ticks": ""},
        yaxis={"type": "category", "showgrid": False, "autorange": "reversed", "ticks": ""},
    )
    figure.add_heatmap(
        z=values.to_numpy(),
        x=labels,
        y=labels,
        text=text.to_numpy(),
        customdata=hover.to_numpy(),
        texttemplate="%{text}",
        zmin=-most,
        zmax=most,
        colorscale=DIVERGING,
        xgap=2,
        ygap=2,
        showscale=False,
        hovertemplate="%{y} minus %{x}: %{customdata}<extra></extra>",
    )
    return figure
