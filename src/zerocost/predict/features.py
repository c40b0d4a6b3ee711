"""The features of an architecture that a surrogate learns from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from zerocost.base.errors import InputError, unknown
from zerocost.predict.graph import graph_features, reason_without_cells
from zerocost.spaces import SearchSpace, get
from zerocost.spaces.architecture import Architecture

_OF_SPACES = {"encoding": "is no encoding", "counts": "are no choices to count", "graph": "is no graph"}
"""The parts that come from a space, and what there is without one."""
_PARTS = ("proxies", *_OF_SPACES)


class Features(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Ranks of scores, the space's encoding, counts of its choices and graph features of cells, as one table.

    A scikit-learn transformer of pandas data frames: the index holds the texts of architectures, the columns proxy
    scores, NaN where one failed. `fit` keeps the scores as the pool that others are ranked among. With the scores of
    all candidates as the pool, learning is transductive; with those of the trained ones alone, inductive.

    - `proxies`: the rank of each score in the pool, in (0, 1], 1 for the highest; ties share their mean rank. A failed
      score gets the mean rank. For each proxy that failed in the pool, a column `failed:…` says where.
    - `encoding`: `space.encode`.
    - `counts`: how often each text occurs among an architecture's choices, and the sum of each number over the choices
      whose names differ in digits alone.
    - `graph`: `graph_features`.

    Args:
        space: the architectures' space, or its name; None for networks of no space, which have only scores.
        parts: which of the above, in any order; "all" for all that the space has; "auto" for the proxies with the graph
            features, which describe the same as the others with fewer numbers, or else with the encoding.

    Raises:
        InputError: in `fit`, for parts that the space does not have, and for scores that are not numbers.

    >>> pool = pd.DataFrame({"snip": [1.0, 3.0, None]}, index=["a", "b", "c"])
    >>> features = Features().fit(pool)
    >>> features.transform(pool)
       rank:snip  failed:snip
    a       0.50          0.0
    b       1.00          0.0
    c       0.75          1.0
    """

    def __init__(self, space: SearchSpace | str | None = None, parts: str | Sequence[str] = "auto") -> None:
        self.space = space
        self.parts = parts

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: N803
        """Keep the scores as the pool."""
        scores = numeric_scores(X)
        self.space_ = get(self.space) if isinstance(self.space, str) else self.space
        self.parts_ = _choose_parts(self.space_, self.parts, scores)
        self.feature_names_in_ = np.array(scores.columns, dtype=object)
        self.n_features_in_ = scores.shape[1]
        self.pool_ = {str(name): np.sort(scores[name].dropna().to_numpy()) for name in scores}
        self.failing_ = [str(name) for name in scores if scores[name].isna().any()]
        self.counted_ = self._counted(scores)
        self.names_ = list(self._table(scores.iloc[:1]).columns)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803
        """One row an architecture, one column a feature, none of them missing."""
        check_is_fitted(self)
        return self._table(numeric_scores(X))

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """The names of the columns that `transform` gives."""
        check_is_fitted(self)
        return np.array(self.names_, dtype=object)

    def _table(self, scores: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self.pool_ if name not in scores]
        if missing:
            raise InputError(f"the scores lack {', '.join(missing)}, with which the surrogate was fitted; add them")
        make = {"proxies": self._ranks, "encoding": self._encoding, "counts": self._counts, "graph": self._graph}
        return pd.concat([make[part](scores) for part in self.parts_], axis=1)

    def _ranks(self, scores: pd.DataFrame) -> pd.DataFrame:
        columns: dict[str, Any] = {}
        for name, known in self.pool_.items():
            columns[f"rank:{name}"] = ranks_in_pool(scores[name].to_numpy(), known)
        for name in self.failing_:
            columns[f"failed:{name}"] = scores[name].isna().astype(float)
        return pd.DataFrame(columns, index=scores.index)

    def _encoding(self, scores: pd.DataFrame) -> pd.DataFrame:
        assert self.space_ is not None
        rows = [self.space_.encode(self.space_.parse(str(text))) for text in scores.index]
        return pd.DataFrame(rows, index=scores.index).add_prefix("encoding:")

    def _counted(self, scores: pd.DataFrame) -> list[str]:
        """What the choices of the pool's architectures hold, in alphabetical order."""
        if self.space_ is None or "counts" not in self.parts_:
            return []
        return sorted({key for text in scores.index for key in _count_choices(self.space_.parse(str(text)))})

    def _counts(self, scores: pd.DataFrame) -> pd.DataFrame:
        assert self.space_ is not None
        rows = [_count_choices(self.space_.parse(str(text))) for text in scores.index]
        table = pd.DataFrame(rows, index=scores.index, columns=self.counted_).fillna(0.0)
        return table.add_prefix("count:")

    def _graph(self, scores: pd.DataFrame) -> pd.DataFrame:
        assert self.space_ is not None
        table = graph_features(self.space_, [str(text) for text in scores.index])
        return table.set_axis(scores.index).add_prefix("graph:")


def _count_choices(arch: Architecture) -> dict[str, float]:
    """How often each text is chosen, and the sum of the numbers by the name of their choice without its digits."""
    counts: dict[str, float] = {}
    for name, value in arch.choices:
        if isinstance(value, int | float) and not isinstance(value, bool):
            key, amount = re.sub(r"\d+", "", name), float(value)
        else:
            key, amount = str(value), 1.0
        counts[key] = counts.get(key, 0.0) + amount
    return counts


def ranks_in_pool(values: npt.NDArray[np.float64], known: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each value's rank among `known` (sorted), as a share of them in (0, 1]; the mean rank for NaN.

    >>> ranks_in_pool(np.array([0.0, 1.0, 5.0, 9.0, np.nan]), np.array([1.0, 1.0, 5.0, 7.0])).tolist()
    [0.25, 0.375, 0.75, 1.0, 0.625]
    """
    n = max(1, len(known))
    below, upto = np.searchsorted(known, values, "left"), np.searchsorted(known, values, "right")
    ranked = np.clip((below + upto + 1) / 2, 1, n) / n
    return np.where(np.isnan(values), (n + 1) / (2 * n), ranked)


def numeric_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores as numbers; infinite ones count as failed."""
    if not isinstance(scores, pd.DataFrame):
        raise InputError(
            f"scores are a pandas DataFrame, one row an architecture (index: its text), one column a proxy, but got "
            f"{type(scores).__name__}"
        )
    try:
        numbers = scores.astype(float)
    except (TypeError, ValueError) as error:
        raise InputError(f"scores must be numbers: {error}; leave out the columns that are not") from error
    return numbers.replace([np.inf, -np.inf], np.nan)


def _choose_parts(space: SearchSpace | None, parts: str | Sequence[str], scores: pd.DataFrame) -> tuple[str, ...]:
    """The parts to use; `InputError` for one that the space or the scores do not have."""
    lacking: dict[str, str | None] = dict.fromkeys(_PARTS)
    if not scores.shape[1]:
        lacking["proxies"] = "the scores have no column; add one or leave out the part 'proxies'"
    if space is None:
        for part, what in _OF_SPACES.items():
            lacking[part] = f"without a space there {what}; name it in space= or leave out the part {part!r}"
    else:
        lacking["graph"] = reason_without_cells(space)
    if parts in ("all", "auto"):
        there = tuple([part for part in _PARTS if lacking[part] is None])
        if not there:
            raise InputError("there are no features to learn from: give scores with at least one column, or the space")
        unused = {"counts", "encoding"} if "graph" in there else {"counts"}
        return tuple([part for part in there if parts == "all" or part not in unused])
    chosen = (parts,) if isinstance(parts, str) else tuple(parts)
    if not chosen:
        raise InputError(f"parts are {', '.join(_PARTS)}, 'all' or 'auto', but got none")
    for part in chosen:
        if part not in lacking:
            raise unknown("part", part, [*_PARTS, "all", "auto"])
        reason = lacking[part]
        if reason:
            raise InputError(reason)
    return chosen
