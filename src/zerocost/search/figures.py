"""The plots of a search: what its survivors were worth, and before training how the scores came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from zerocost.base.figures import BLUE, GREY, ORANGE, count_axis, empty_figure, label
from zerocost.base.format import number
from zerocost.tasks.text import metric_text
from zerocost.train.run import Run


def trained_figure(survivors: Sequence[Run], random: Sequence[Run]) -> go.Figure:
    """The metric of each run that ended well: survivors beside random picks, as boxes with all points."""
    metric = survivors[0].metric_name
    figure = empty_figure(360, showlegend=False, yaxis={"title": metric.replace("_", " ")}, xaxis={"showgrid": False})
    for title, runs, colour in (("survivors", survivors, BLUE), ("random picks", random, ORANGE)):
        ended = [run for run in runs if run.ended_well and run.metric is not None]
        if ended:
            figure.add_box(
                y=[run.metric for run in ended],
                name=f"{title}<br>n = {len(ended)}",
                boxpoints="all",
                boxmean=True,
                jitter=0.4,
                pointpos=0,
                marker={"color": colour, "size": 8},
                line={"width": 1.5},
                text=[f"{label(run.name)}, seed {run.seed}: {metric_text(metric, run.metric)}" for run in ended],
                hoveron="points",
                hovertemplate="%{text}<extra></extra>",
            )
    return figure


def proposed_figure(scores: pd.Series[float]) -> go.Figure:
    """The score of each architecture in the order proposed, and the best so far."""
    scores = scores.replace([np.inf, -np.inf], np.nan).set_axis(np.arange(1, len(scores) + 1))
    figure = empty_figure(
        320,
        xaxis=count_axis("architectures scored", len(scores)),
        yaxis={"title": "rank_score"},
    )
    text = [number(value) for value in scores]
    figure.add_scatter(
        x=scores.index,
        y=scores,
        mode="markers",
        name="each",
        marker={"color": GREY, "size": 6, "opacity": 0.6},
        text=text,
        hovertemplate="%{text}<extra></extra>",
    )
    figure.add_scatter(
        x=scores.index,
        y=scores.cummax(),
        mode="lines",
        name="best so far",
        line={"color": BLUE, "width": 3, "shape": "hv"},
        hovertemplate="best of %{x}: %{y:.4g}<extra></extra>",
    )
    return figure
