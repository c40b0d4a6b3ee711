"""The section on why the best candidates are ranked best: what each proxy adds, and what is only size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from zerocost.base import format as fmt
from zerocost.base.figures import DIVERGING, empty_figure, label
from zerocost.report.candidates import score_combination
from zerocost.report.sections import Plot
from zerocost.scoring.explanation import FEWEST, Explanation
from zerocost.search.objectives import SCORE

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult

MOST_CANDIDATES = 20
"""Most candidates in the plot."""
_LABEL_LENGTH = 36
"""Most letters of a name beside the plot."""


@dataclass(frozen=True)
class _RankingExplanation:
    """Why the best candidates are ranked best.

    Attributes:
        sentence: how much of the order size alone explains.
        plot: how far each proxy moved each candidate.
        headings: headings of the table of proxies.
        rows: one row a proxy, its name first.
        note: what the numbers are.
    """

    sentence: str
    plot: Plot | None
    headings: list[str]
    rows: list[list[str]]
    note: str


def explain_ranking(result: SearchResult) -> _RankingExplanation | None:
    """Why the best of a search or a ranking are ranked best; None without combined proxies, or with too few scores."""
    by, table = score_combination(result), result.table
    if SCORE not in result.objectives or not set(by.proxies) <= set(table.frame):
        return None
    found = table.explained(by, top=len(result.kept) or None)
    if found.place.notna().sum() < FEWEST:
        return None
    headings, rows = _proxy_rows(found)
    plot = _moves_plot(found, [str(name) for name in result.kept.frame.index])
    return _RankingExplanation(found.about_size(fmt.shorten), plot, headings, rows, _explanation_note(found, plot))


def _moves_plot(found: Explanation, kept: list[str]) -> Plot | None:
    """A heat map of the kept candidates and the best of the others; None for one proxy, which is the score itself."""
    if len(found.proxies) < 2:
        return None
    ordered = found.place.dropna().sort_values(kind="stable").index
    chosen = set([name for name in ordered if name in set(kept)][:MOST_CANDIDATES])
    others = [name for name in ordered if name not in chosen][: MOST_CANDIDATES - len(chosen)]
    names = [name for name in ordered if name in chosen or name in set(others)]
    whole = found.climbed if found.moved.isna().all(axis=None) else found.moved
    parts, places = whole.loc[names], found.climbed.loc[names]
    title = f"How far each proxy moved the best {len(names)}" if len(names) > 1 else "How far each proxy moved the best"
    text = f"by {found.combination}"
    figure = _heat_map(parts, places, [_candidate_label(found, name, name in set(kept)) for name in names])
    return Plot("why-moves", figure, title, text, min_width=300 + 64 * parts.shape[1])


def _candidate_label(found: Explanation, name: str, kept: bool) -> str:
    """A candidate's name, its place where the name is not that, bold where it was kept."""
    place = f"{found.place[name]:.0f}"
    text = label(fmt.shorten(name, _LABEL_LENGTH)) + f"  {place}" * (name != f"#{place}")
    return f"<b>{text}</b>" if kept else text


def _heat_map(parts: pd.DataFrame, places: pd.DataFrame, names: list[str]) -> go.Figure:
    """How far each proxy moved each candidate, blue for up; the numbers are places won or lost, where known."""
    limit = float(np.nan_to_num(np.abs(parts.to_numpy())).max()) or 1.0
    columns = [label(str(name)) for name in parts]
    figure = empty_figure(
        110 + 26 * len(names),
        xaxis={
            "type": "category",
            "showgrid": False,
            "side": "top",
            "ticks": "",
            "tickangle": 0 if _fit_side_by_side(parts) else -45,
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
        text=places.map(fmt.signed_places).to_numpy(),
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


def _fit_side_by_side(parts: pd.DataFrame) -> bool:
    """Whether the names of the proxies fit side by side."""
    return parts.shape[1] * max(len(str(name)) for name in parts) <= 80


def _proxy_rows(found: Explanation) -> tuple[list[str], list[list[str]]]:
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


def _explanation_note(found: Explanation, plot: Plot | None) -> str:
    """What the numbers of the section are."""
    several = len(found.proxies) > 1
    text = []
    if not found.follows:
        text.append("Candidates are not ranked by this score alone; the places here are those by this score")
    if plot:
        text.append("A number after a name is its place by score; bold: kept")
    if plot and found.moved.notna().any(axis=None):
        text.append("Colours: what a proxy adds to the score compared with its average over candidates; blue moves up")
    if plot:
        text.append("Numbers: the places a candidate would lose without the proxy")
    if several:
        text.append("τ without it: Kendall’s rank correlation of the ranking with the ranking without the proxy")
        text.append(f"New: how many of the top {found.top} would change without the proxy")
    text.append("ρ is Spearman’s rank correlation; beyond size: the same with parameters taken out of both")
    if min(found.proxies["weight"]) < 0:
        text.append("A proxy of negative weight is counted with its sign reversed, as in the ranking")
    return ". ".join(text) + "."
