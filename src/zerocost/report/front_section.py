"""The section on the front of a search: its plots, and the table of who is on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zerocost.base import format as fmt
from zerocost.base.units import is_cost
from zerocost.report import search_figures as figures
from zerocost.report.front import Front, front_of
from zerocost.report.gain import spent_budget
from zerocost.report.metric import formatter_of
from zerocost.report.names import Names, choices
from zerocost.report.sections import LISTED_ROWS, Plot

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult


@dataclass(frozen=True)
class _FrontRow:
    """One architecture on the front; `full` is its full name where `name` is a short one."""

    name: str
    full: str
    marks: list[str]
    cells: list[str]
    choices: str


@dataclass(frozen=True)
class FrontSection:
    """The plots and the table of the front.

    Attributes:
        objectives: what the front is of, in words.
        plots: one for each pair of `Front.pairs`.
        headings: the columns after the name.
        rows: the first `LISTED_ROWS` on the front.
        note: what the front and its knee are.
    """

    objectives: str
    plots: list[Plot]
    headings: list[str]
    rows: list[_FrontRow]
    note: str


def front_section(result: SearchResult, names: Names) -> FrontSection | None:
    """The plots and the table of `front_of`."""
    front = front_of(result)
    if front is None:
        return None
    kept = list(map(str, result.kept.frame.index)) if result.kept.dropped else []
    plots, points = [], front.values.join(front.limited)
    for place, (across, up) in enumerate(front.pairs):
        ringed = kept if len(kept) < len(points) else []
        figure = figures.front_figure(points[[across, up]], front, ringed, names)
        text = f"{len(front.names):,} of {len(front.values):,} are on the front"
        plots.append(Plot(f"front-{place}", figure, f"{up} against {across}", text))
    return FrontSection(
        fmt.join_words(list(map(str, front.values))), plots, *_table(result, front, kept, names), _note(front)
    )


def _table(result: SearchResult, front: Front, kept: list[str], names: Names) -> tuple[list[str], list[_FrontRow]]:
    """The headings and the rows of the front."""
    listed = front.names[:LISTED_ROWS]
    costs = [str(name) for name in result.table.frame if is_cost(str(name)) and name not in front.values]
    shown = front.values.join(result.table.frame[costs]).loc[listed]
    formats = {column: formatter_of(column) for column in map(str, shown)}
    apart = choices(names.full[name] for name in listed) if names.note else {}
    kind = "trained" if spent_budget(result) else "kept"
    rows = []
    for name, values in zip(listed, shown.to_dict("records"), strict=True):
        full = names.title(name)
        marks = ["knee"] * (name == front.knee) + [kind] * (name in kept)
        cells = [write(values[column]) for column, write in formats.items()]
        rows.append(_FrontRow(name, full, marks, cells, apart.get(full, "")))
    return list(formats), rows


def _note(front: Front) -> str:
    """What the front and its knee are."""
    parts = ["An architecture is on the front if no other is at least as good in all of these and better in one."]
    if any(front.is_of(pair) for pair in front.pairs):
        parts.append("The steps enclose the area that the front dominates.")
    if len(front.values.columns) > 2:
        parts.append("Each plot shows two of them, so some architectures on the front look dominated.")
    if len(front.limited.columns):
        parts.append(f"Only limited, and so not part of the front: {fmt.join_words(list(map(str, front.limited)))}.")
    if front.knee:
        parts.append(
            "The knee is where a gain in one costs most in the others: the largest sum of all, each scaled to its "
            "range on the front."
        )
    return " ".join(parts)
