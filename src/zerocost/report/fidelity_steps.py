"""The fidelities a search scored at, and how far each step from one to the next changed the order."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from zerocost.report.candidates import objective_values
from zerocost.statistics.association import Association, association

if TYPE_CHECKING:
    from zerocost.scoring.table import ScoreTable
    from zerocost.search.pipeline import SearchResult


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
