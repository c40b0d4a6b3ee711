"""How far a search got: the objectives of all architectures, the best so far, and the steps between fidelities."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from zerocost.combine import Combination
from zerocost.search.objectives import SCORE, Objectives
from zerocost.statistics.association import Association, association
from zerocost.statistics.pareto import Floats, hypervolume
from zerocost.tasks.metrics import minimised

if TYPE_CHECKING:
    from zerocost.scoring.table import ScoreTable
    from zerocost.search.pipeline import SearchResult

STEPS = 200
"""Most points at which the hypervolume of a front is computed."""
MARGIN = 0.1
"""How far the reference point lies below the worst value of an objective, as a share of the objective's range."""
MOST_HYPERVOLUME_OBJECTIVES = 3
"""Most objectives for which the hypervolume is fast to compute."""


def is_search(result: SearchResult) -> bool:
    """Whether a strategy proposed the candidates; otherwise they were given and only ranked."""
    return "strategy" in result.settings


def candidate_names(result: SearchResult) -> list[str]:
    """All candidates that were measured."""
    return result.order or list(map(str, result.table.frame.index))


def ranked_by_score(result: SearchResult) -> bool:
    """Whether candidates are ranked by the combined score alone."""
    return result.objectives == (SCORE,)


def score_combination(result: SearchResult) -> Combination:
    """The combination that the objective "score" stands for."""
    return result.combination or result.table.combination


def with_direction(name: str, less: bool | None = None) -> str:
    """An objective with its direction, `less` if it is known otherwise than by its name.

    >>> with_direction("params"), with_direction("snip")
    ('params (less is better)', 'snip (more is better)')
    """
    less = minimised(name) if less is None else less
    return f"{name} ({'less' if less else 'more'} is better)"


def objective_values(result: SearchResult, table: ScoreTable) -> pd.DataFrame:
    """One row a candidate, one column an objective; NaN where it has none."""
    if ranked_by_score(result):
        found = table.frame[["rank_score"]].set_axis([SCORE], axis="columns")
    else:
        found = Objectives(result.objectives, score_combination(result)).values(table.frame)
    return found.astype(float).replace([np.inf, -np.inf], np.nan)


def values_as_proposed(result: SearchResult) -> pd.DataFrame:
    """`objective_values` of all architectures, in the order proposed, at the first fidelity."""
    return objective_values(result, result.tables[0]).reindex(result.order)


def best_so_far(proposed: pd.DataFrame) -> pd.Series[float]:
    """How far a search had got after each number of architectures: the best value of its objective.

    For two or three objectives it is the hypervolume of the front, as a share of that of the final front. Each
    objective is scaled to its range, and the reference point lies a tenth of it below the worst value. For more
    objectives it is the number of architectures on the front.

    >>> best_so_far(pd.DataFrame({"snip": [np.nan, 2.0, 1.0, 3.0]})).to_dict()
    {2: 2.0, 3: 2.0, 4: 3.0}
    >>> best_so_far(pd.DataFrame({"snip": [0.0, 1.0], "params": [2.0, 1.0]})).round(3).to_dict()
    {1: 0.008, 2: 1.0}
    """
    counts = np.arange(1, len(proposed) + 1)
    if proposed.shape[1] == 1:
        column = proposed.iloc[:, 0].set_axis(counts)
        best = column.cummin() if minimised(str(proposed.columns[0])) else column.cummax()
        return best.ffill().dropna()
    signs = np.array([-1.0 if minimised(str(name)) else 1.0 for name in proposed])
    steps = np.unique(np.linspace(1, len(proposed), STEPS).round().astype(int))
    reached = pd.Series(_fronts_so_far(proposed.to_numpy() * signs, steps.tolist()), index=steps, dtype=float)
    return reached[reached > 0]


def _fronts_so_far(points: Floats, steps: list[int]) -> list[float]:
    """The hypervolume of the front, or its length, after each of the numbers of points; see `best_so_far`."""
    known = np.asarray(np.isfinite(points).all(axis=1))
    low = points[known].min(axis=0, initial=np.inf)
    span = points[known].max(axis=0, initial=-np.inf) - low
    above = np.where(known[:, None], points - low, 0.0)  # unknown values could overflow where it is near 0
    scaled = np.divide(above, span, out=np.ones_like(points), where=span > 0)
    reference = np.full(points.shape[1], -MARGIN)
    front, found = np.empty((0, points.shape[1])), []
    for count, (point, is_known) in enumerate(zip(scaled, known, strict=True), start=1):
        if is_known and not (front >= point).all(axis=1).any():
            front = np.vstack([front[~(point >= front).all(axis=1)], point])
        if count in steps:
            found.append(
                hypervolume(front, reference) if len(reference) <= MOST_HYPERVOLUME_OBJECTIVES else float(len(front))
            )
    return [value / (found[-1] or 1.0) for value in found] if len(reference) <= MOST_HYPERVOLUME_OBJECTIVES else found


def table_fidelities(result: SearchResult) -> list[str]:
    """The fidelity of each table of scores, that of `result.table` last; "full" by default."""
    given = str(result.settings.get("fidelity", "full")).split(" > ")
    return [*given, *["full"] * (1 + len(result.earlier))][: 1 + len(result.earlier)]


def fidelity_label(fidelity: str) -> str:
    """A fidelity in words.

    >>> fidelity_label("full"), fidelity_label("width=0.5")
    ('full size', 'width=0.5')
    """
    return "full size" if fidelity == "full" else fidelity


class _FidelityStep(NamedTuple):
    """A step from one fidelity to the next.

    Attributes:
        before: the first fidelity.
        after: the second fidelity.
        total: the number of candidates scored at the first.
        ranks: for each candidate scored at both, its place among them `before` and `after`.
        follows: the rank correlation of both fidelities, for the order and then for each objective and proxy.
    """

    before: str
    after: str
    total: int
    ranks: pd.DataFrame
    follows: dict[str, Association]


def fidelity_steps(result: SearchResult) -> list[_FidelityStep]:
    """The steps from each fidelity to the next; sizes, which are equal at both, are left out."""
    tables, names = result.tables, table_fidelities(result)
    return [_compare_fidelities(result, *pair, *at) for pair, at in zip(pairwise(tables), pairwise(names), strict=True)]


def _compare_fidelities(
    result: SearchResult, low: ScoreTable, high: ScoreTable, before: str, after: str
) -> _FidelityStep:
    """One step of `fidelity_steps`."""
    both = [name for name in high.frame.index if name in low.frame.index]
    joined = [objective_values(result, table).add_prefix("objective ").join(table.frame) for table in (low, high)]
    first, second = (columns.loc[both].replace([np.inf, -np.inf], np.nan) for columns in joined)
    ranks = pd.DataFrame({"before": first["rank_score"], "after": second["rank_score"]}).rank(ascending=False)
    objectives = [] if len(result.objectives) == 1 else [f"objective {name}" for name in result.objectives]
    first_name = "order" if objectives else result.objectives[0]
    follows = {first_name: association(first["rank_score"], second["rank_score"])}
    for name in dict.fromkeys([*objectives, *high.proxies]):
        title = name.removeprefix("objective ")
        if title not in follows and name in first and not first[name].equals(second[name]):
            follows[title] = association(first[name], second[name])
    return _FidelityStep(before, after, len(low), ranks, follows)
