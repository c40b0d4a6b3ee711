"""The section on why the best candidates are the best: what moved each, what each proxy adds, what is only size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from zerocost.report import format as fmt
from zerocost.report import progress as goals
from zerocost.report.figures import DIVERGING, blank, label
from zerocost.report.sections import Plot
from zerocost.scoring.explanation import FEWEST, Explanation
from zerocost.search.objectives import SCORE

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult

SHOWN = 20
"""Candidates whose moves are shown, at most."""
NAMED = 36
"""Letters of their names that fit beside the plot."""


@dataclass(frozen=True)
class Why:
    """Why the best are the best; `rows` has one row a proxy, of texts below `headings`, its name first."""

    sentence: str
    plot: Plot | None
    headings: list[str]
    rows: list[list[str]]
    note: str


def why(result: SearchResult) -> Why | None:
    """Why the best of a search or a ranking are the best; None where no proxies were combined, or too few scored."""
    by, table = goals.scored_by(result), result.table
    if SCORE not in result.objectives or not set(by.proxies) <= set(table.frame):
        return None
    found = table.explained(by, top=len(result.kept) or None)
    if found.place.notna().sum() < FEWEST:
        return None
    headings, rows = proxies(found)
    plot = moves(found, [str(name) for name in result.kept.frame.index])
    return Why(found.about_size(fmt.shorten), plot, headings, rows, told(found, plot))


def moves(found: Explanation, kept: list[str]) -> Plot | None:
    """The moves of the kept and the best of the others, as a heat map; None for one proxy: it is the score."""
    if len(found.proxies) < 2:
        return None
    ordered = found.place.dropna().sort_values(kind="stable").index
    chosen = set([name for name in ordered if name in set(kept)][:SHOWN])
    others = [name for name in ordered if name not in chosen][: SHOWN - len(chosen)]
    names = [name for name in ordered if name in chosen or name in set(others)]
    whole = found.climbed if found.moved.isna().all(axis=None) else found.moved
    parts, places = whole.loc[names], found.climbed.loc[names]
    title = f"What moved the best {len(names)}, by proxy" if len(names) > 1 else "What moved the best, by proxy"
    text = f"by {found.combination}"
    figure = heat_map(parts, places, [named(found, name, name in set(kept)) for name in names])
    return Plot("why-moves", figure, title, text, min_width=300 + 64 * parts.shape[1])


def named(found: Explanation, name: str, kept: bool) -> str:
    """A candidate with its place, bold where it was kept."""
    text = f"{label(fmt.shorten(name, NAMED))}  {found.place[name]:.0f}"
    return f"<b>{text}</b>" if kept else text


def heat_map(parts: pd.DataFrame, places: pd.DataFrame, names: list[str]) -> go.Figure:
    """How far each proxy moved each candidate, blue for up, with the places it has from it where that is known."""
    limit = float(np.nan_to_num(np.abs(parts.to_numpy())).max()) or 1.0
    columns = [label(str(name)) for name in parts]
    figure = blank(
        110 + 26 * len(names),
        xaxis={
            "type": "category",
            "showgrid": False,
            "side": "top",
            "ticks": "",
            "tickangle": 0 if few(parts) else -45,
        },
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "showgrid": False,
            "autorange": "reversed",
            "ticks": "",
            "ticklabelstandoff": 6,
        },
    )
    figure.add_heatmap(
        z=parts.to_numpy(),
        x=columns,
        y=list(range(len(names))),
        text=places.map(steps_of).to_numpy(),
        customdata=parts.map(fmt.fixed).to_numpy(),
        hovertext=[[name] * len(columns) for name in names],
        texttemplate="%{text}",
        zmin=-limit,
        zmax=limit,
        colorscale=DIVERGING,
        xgap=2,
        ygap=2,
        showscale=False,
        hovertemplate="%{hovertext}<br>%{x}: %{customdata}, %{text} places<extra></extra>",
    )
    return figure


def few(parts: pd.DataFrame) -> bool:
    """Whether the names of the proxies fit side by side."""
    return parts.shape[1] * max(len(str(name)) for name in parts) <= 80


def steps_of(places: float) -> str:
    """Places won or lost, always signed; nothing where there are none to tell.

    >>> steps_of(3.0), steps_of(-12.0), steps_of(0.0), steps_of(np.nan)
    ('+3', '−12', '0', '')
    """
    if np.isnan(places):
        return ""
    return f"{places:+.0f}".replace("-", "−") if places else "0"


def proxies(found: Explanation) -> tuple[list[str], list[list[str]]]:
    """Headings, and one row a proxy."""
    sizes = [str(size) for size in found.sizes if found.sizes[size].notna().any()]
    headings = ["proxy", "weight", "τ without it", f"new in the top {found.top}", "ρ with the score", "beyond size"]
    headings += [f"ρ with {size}" for size in sizes] + ["closest to"]
    rows = []
    for name, row in found.proxies.iterrows():
        closest = f"{row['closest']} ({fmt.fixed(row['redundancy'])})" if row["closest"] else fmt.MISSING
        numbers = [row["spearman"], row["beyond_size"], *found.sizes.loc[str(name), sizes]]
        rows.append([str(name), fmt.number(row["weight"], 3), fmt.fixed(row["tau_without"])])
        rows[-1] += [fmt.fixed(row["replaced"], 0), *map(fmt.fixed, numbers), closest]
    return headings, rows


def told(found: Explanation, plot: Plot | None) -> str:
    """What the section's numbers are."""
    several = len(found.proxies) > 1
    text = []
    if not found.follows:
        text.append("Candidates are not ranked by this score alone; places here are those by this score")
    if plot:
        text.append("Names end in the place by score; bold: kept")
    if plot and found.moved.notna().any(axis=None):
        text.append("Colours: what a proxy adds to the score, against what it adds on average; blue moves up")
    if plot:
        text.append("Numbers: the places a candidate would lose without the proxy")
    if several:
        text.append("τ without it: Kendall’s rank correlation of the ranking with that without the proxy")
        text.append(f"New: how many of the top {found.top} would then be others")
    text.append("ρ is Spearman’s; beyond size: the same with parameters taken out of both")
    if min(found.proxies["weight"]) < 0:
        text.append("A proxy of negative weight counts turned round, as it is ranked")
    return ". ".join(text) + "."
