"""The front of a search: the score against each budget, and its knee."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, product
from typing import TYPE_CHECKING

import pandas as pd

from zerocost.base.conditions import parse_clauses
from zerocost.base.units import is_cost
from zerocost.report.candidates import objective_values
from zerocost.report.gain import spent_budget, trainings_in_order
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
