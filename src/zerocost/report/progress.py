"""What a search wanted, in numbers: the objectives of all that it judged, the best so far, and its fidelities."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from zerocost.combine import Combination
from zerocost.search.objectives import SCORE, Objectives, minimised
from zerocost.statistics.association import Association, association
from zerocost.statistics.pareto import Floats, hypervolume

if TYPE_CHECKING:
    from zerocost.scoring.table import ScoreTable
    from zerocost.search.pipeline import SearchResult

STEPS = 200
"""Points at which a front is measured, at most."""
MARGIN = 0.1
"""How far the reference point lies below the worst value of each objective, as a share of the objective's range."""
MEASURABLE = 3
"""Objectives of which a hypervolume can be had at once."""


def searched(result: SearchResult) -> bool:
    """Whether a strategy proposed the candidates; otherwise they were given, and ranked."""
    return "strategy" in result.settings


def plain(result: SearchResult) -> bool:
    """Whether candidates are ranked by the combined score alone."""
    return result.objectives == (SCORE,)


def scored_by(result: SearchResult) -> Combination:
    """What "score" is."""
    return result.combination or result.table.combination


def aim(name: str) -> str:
    """An objective with its direction.

    >>> aim("params"), aim("snip")
    ('params (less is better)', 'snip (more is better)')
    """
    return f"{name} ({'less' if minimised(name) else 'more'} is better)"


def values(result: SearchResult, table: ScoreTable) -> pd.DataFrame:
    """One row a candidate, one column an objective; NaN where it has none."""
    if plain(result):
        found = table.frame[["rank_score"]].set_axis([SCORE], axis="columns")
    else:
        found = Objectives(result.objectives, scored_by(result)).values(table.frame)
    return found.astype(float).replace([np.inf, -np.inf], np.nan)


def proposed(result: SearchResult) -> pd.DataFrame:
    """`values` of all that was judged, in the order proposed, at the first fidelity."""
    return values(result, [*result.earlier, result.table][0]).reindex(result.order)


def best_so_far(proposed: pd.DataFrame) -> pd.Series[float]:
    """How far a search had got, by the number judged: the best value of its objective.

    Of two or three objectives it is the hypervolume of the front, as a share of that of the last; every objective is
    scaled to its range, and the reference lies a tenth of it below the worst. Of more, it is the size of the front.

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
    reached = pd.Series(fronts_so_far(proposed.to_numpy() * signs, steps.tolist()), index=steps, dtype=float)
    return reached[reached > 0]


def fronts_so_far(points: Floats, steps: list[int]) -> list[float]:
    """The size of the front after so many points, more is better: its hypervolume, or its length; see `best_so_far`."""
    known = np.asarray(np.isfinite(points).all(axis=1))
    low = points[known].min(axis=0, initial=np.inf)
    span = points[known].max(axis=0, initial=-np.inf) - low
    above = np.where(known[:, None], points - low, 0.0)  # what is not known could overflow in a span close to zero
    scaled = np.divide(above, span, out=np.ones_like(points), where=span > 0)
    reference = np.full(points.shape[1], -MARGIN)
    front, found = np.empty((0, points.shape[1])), []
    for count, (point, usable) in enumerate(zip(scaled, known, strict=True), start=1):
        if usable and not (front >= point).all(axis=1).any():
            front = np.vstack([front[~(point >= front).all(axis=1)], point])
        if count in steps:
            found.append(hypervolume(front, reference) if len(reference) <= MEASURABLE else float(len(front)))
    return [value / (found[-1] or 1.0) for value in found] if len(reference) <= MEASURABLE else found


def fidelities(result: SearchResult) -> list[str]:
    """The fidelity of each table, the last one that of `result.table`; "full" where nothing else is said."""
    given = str(result.settings.get("fidelity", "full")).split(" > ")
    return [*given, *["full"] * (1 + len(result.earlier))][: 1 + len(result.earlier)]


def sized(fidelity: str) -> str:
    """A fidelity as a size.

    >>> sized("full"), sized("width=0.5")
    ('full size', 'width=0.5')
    """
    return "full size" if fidelity == "full" else fidelity


class Rung(NamedTuple):
    """Two fidelities next to each other: how many were judged at the first, and what the second made of the best.

    `ranks` has a row for each candidate judged at both, with its place among them `before` and `after`. `follows` has
    the rank correlation of both fidelities by what was judged; that of the order comes first.
    """

    before: str
    after: str
    total: int
    ranks: pd.DataFrame
    follows: dict[str, Association]


def ladder(result: SearchResult) -> list[Rung]:
    """What each step from one fidelity to the next changed; sizes, which are equal at both, are left out."""
    tables, names = [*result.earlier, result.table], fidelities(result)
    return [rung(result, *pair, *at) for pair, at in zip(pairwise(tables), pairwise(names), strict=True)]


def rung(result: SearchResult, low: ScoreTable, high: ScoreTable, before: str, after: str) -> Rung:
    """One step of `ladder`."""
    both = [name for name in high.frame.index if name in low.frame.index]
    columns = [
        values(result, table).add_prefix("objective ").join(table.frame).loc[both].replace([np.inf, -np.inf], np.nan)
        for table in (low, high)
    ]
    first, second = columns
    ranks = pd.DataFrame({"before": first["rank_score"], "after": second["rank_score"]}).rank(ascending=False)
    objectives = [] if len(result.objectives) == 1 else [f"objective {name}" for name in result.objectives]
    first_name = "order" if objectives else result.objectives[0]
    follows = {first_name: association(first["rank_score"], second["rank_score"])}
    for name in dict.fromkeys([*objectives, *high.proxies]):
        title = name.removeprefix("objective ")
        if title not in follows and name in first and not first[name].equals(second[name]):
            follows[title] = association(first[name], second[name])
    return Rung(before, after, len(low), ranks, follows)
