"""The style that all plots share.

The colours of traces can be read on a light and on a dark page; what differs between the two is in `TEMPLATES`.
"""

from __future__ import annotations

import html

import plotly.graph_objects as go

from zerocost.base.format import shorten

BLUE, ORANGE, GREY = "#2f7ed8", "#d9650b", "#8a93a1"
DIVERGING = [
    [0.0, "rgba(217,101,11,0.85)"],
    [0.5, "rgba(140,148,160,0.10)"],
    [1.0, "rgba(47,126,216,0.85)"],
]
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def _template(text: str, grid: str, paper: str) -> go.layout.Template:
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        "title": {"standoff": 8, "font": {"size": 13}},
    }
    layout = {
        "font": {"family": _FONT, "size": 13, "color": text},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 48, "r": 12, "t": 12, "b": 40},
        "hoverlabel": {
            "bgcolor": paper,
            "bordercolor": grid,
            "font": {"family": _FONT, "color": text},
            "align": "left",
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False},
        "dragmode": False,
        "xaxis": axis,
        "yaxis": axis,
    }
    heatmap = go.Heatmap(textfont={"color": text})
    return go.layout.Template(layout=layout, data={"heatmap": [heatmap]})


TEMPLATES = {
    "light": _template(text="#1d232b", grid="#dfe3e8", paper="#ffffff"),
    "dark": _template(text="#e6e9ee", grid="#353c47", paper="#1b2028"),
}


def label(name: str) -> str:
    """A name as literal text in a plot, where plotly would otherwise read tags."""
    return html.escape(shorten(name), quote=False)


def count_axis(title: str, last: int) -> dict[str, object]:
    """An axis of whole numbers up to `last`; few are marked one by one, where plotly would also mark the halves.

    >>> count_axis("epoch", 5)
    {'title': 'epoch', 'showgrid': False, 'tickformat': 'd', 'dtick': 1}
    """
    return {"title": title, "showgrid": False, "tickformat": "d", **({"dtick": 1} if last <= 10 else {})}


def empty_figure(height: int, **layout: object) -> go.Figure:
    """An empty figure in the style of the page."""
    return go.Figure(layout={"template": TEMPLATES["light"], "height": height, **layout})
