"""The candidates of a search, and the objectives they were ranked by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zerocost.combine import Combination
from zerocost.search.objectives import SCORE, Objectives
from zerocost.tasks.metrics import minimised

if TYPE_CHECKING:
    from zerocost.scoring.table import ScoreTable
    from zerocost.search.pipeline import SearchResult


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
