"""The front of a search: the score against each budget, its knee, and the table of who is on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, product
from typing import TYPE_CHECKING

import pandas as pd

from zerocost.base import format as fmt
from zerocost.base.conditions import parse_clauses
from zerocost.base.units import is_cost
from zerocost.report import search_figures as figures
from zerocost.report.candidates import objective_values
from zerocost.report.gain import spent_budget, trainings_in_order
from zerocost.report.metric import formatter_of
from zerocost.report.names import Names, choices
from zerocost.report.sections import LISTED_ROWS, Plot
from zerocost.search.objectives import SCORE
from zerocost.statistics.pareto import fronts, knee
from zerocost.tasks.metrics import minimised

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult


@dataclass(frozen=True)
class Front:
    """What no other architecture beats in everything.

    Attributes:
        values: the objectives of all that have each of them; of a single objective also the costs that limits name.
        names: those on the front, the best by the first column first.
        falling: the columns of which less is better, those of `limited` among them.
        knee: the one from which a gain in one objective costs most in the others; None where there is none.
        limited: the costs that limits name and the front is not of, of the same architectures.
    """

    values: pd.DataFrame
    names: list[str]
    falling: frozenset[str]
    knee: str | None
    limited: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What is plotted against what, the horizontal axis first: each goal against each cost, or all objectives."""
        columns = list(map(str, self.values))
        costs = [name for name in columns if is_cost(name)]
        goals = [name for name in columns if name not in costs]
        both = (sorted(pair, key=lambda name: name not in self.falling) for pair in combinations(columns, 2))
        pairs = product(costs, goals) if costs and goals else ((across, up) for across, up in both)
        return [*pairs, *product(map(str, self.limited), goals or costs)]

    def is_of(self, pair: tuple[str, str]) -> bool:
        """Whether the front is of these two alone."""
        return set(pair) == set(self.values)


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


def front_of(result: SearchResult) -> Front | None:
    """The front of all objectives, or of a single one and the costs that limits name; None without those.

    Where a budget of trainings was spent for several objectives, it is of the trained, with their metric as the score.
    """
    values, limited = objective_values(result, result.table), _limited_costs(result)
    falling = {name for name in map(str, values.columns.union(limited.columns)) if minimised(name)}
    if len(values.columns) == 1:
        values, limited = values.join(limited.drop(columns=values.columns, errors="ignore")), limited.iloc[:, :0]
    elif spent_budget(result):
        metric = result.metric_name
        reached = trainings_in_order(result).set_index("name")["metric"]
        values = values.rename(columns={SCORE: metric}).assign(**{metric: reached})
        falling |= set() if all(run.higher_is_better for run in result.survivors) else {metric}
    values = values.dropna()
    if len(values.columns) < 2 or values.empty:
        return None
    signed = values * [-1.0 if name in falling else 1.0 for name in values]
    first = signed[fronts(signed) == 0].sort_values(str(signed.columns[0]), ascending=False, kind="stable")
    names = list(map(str, first.index))
    place = knee(first)
    apart = limited.drop(columns=values.columns, errors="ignore").loc[values.index]
    return Front(values, names, frozenset(falling), None if place is None else names[place], apart)


def _limited_costs(result: SearchResult) -> pd.DataFrame:
    """The costs that the limits of a search name."""
    clauses = parse_clauses(str(where)) if (where := result.settings.get("where")) else []
    names = dict.fromkeys(name for clause in clauses for name in clause.names if is_cost(name))
    return result.table.frame[[name for name in names if name in result.table.frame]].astype(float)


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
