"""The plot of an evaluation: one statistic of all scores."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from zerocost.base.figures import BLUE, GREY, ORANGE, empty_figure, label
from zerocost.base.format import fixed
from zerocost.evaluation.tables import BASELINES, TOGETHER


def score_colours(names: Sequence[str]) -> list[str]:
    """One colour for the proxies, one for their combination, one for the baselines."""
    return [ORANGE if name == TOGETHER else GREY if name in BASELINES else BLUE for name in names]


def statistic_bars(table: pd.DataFrame, statistic: str) -> go.Figure:
    """One bar a score, as long as its statistic, with its 95 % interval; the first row of the table on top."""
    names = [label(str(name)) for name in table.index]
    value, low, high = (table[f"{statistic}{part}"].to_numpy(dtype=float) for part in ("", "_low", "_high"))
    figure = empty_figure(
        60 + 26 * len(names),
        showlegend=False,
        xaxis={"zeroline": True, "zerolinecolor": GREY, "nticks": 6},
        yaxis={"type": "category", "showgrid": False, "autorange": "reversed", "ticks": ""},
        bargap=0.35,
    )
    figure.add_bar(
        x=value,
        y=names,
        orientation="h",
        marker={"color": score_colours(list(map(str, table.index)))},
        error_x={"array": high - value, "arrayminus": value - low, "thickness": 1.5, "width": 4, "color": GREY},
        text=[f"{fixed(v)} ({fixed(a)} to {fixed(b)})" for v, a, b in zip(value, low, high, strict=True)],
        textposition="none",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    return figure
