"""Accuracy of architectures that were not trained, from those that were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self, overload

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted

from zerocost.base.errors import InputError
from zerocost.predict.estimators import Values, estimator_of, fit_quietly, spread
from zerocost.predict.features import Features, checked
from zerocost.predict.validation import Validation, judged
from zerocost.spaces import SearchSpace

FEWEST = 5
"""Targets needed for cross-validation."""
SURE = 0.02
"""The least that a model may hold itself to be off, in ranks from 0 to 1: its targets are not exact either."""


class Scale(NamedTuple):
    """Targets as ranks from 0 to 1, and back; outside the targets seen, along the line through both ends."""

    values: Values
    ranks: Values

    @classmethod
    def of(cls, targets: Values) -> Scale:
        ranks = (rankdata(targets) - 0.5) / len(targets)
        values, first = np.unique(targets, return_index=True)
        return cls(values, ranks[first])

    def to_ranks(self, targets: Values) -> Values:
        return np.interp(targets, self.values, self.ranks)

    def to_values(self, ranks: Values) -> Values:
        inside: Values = np.interp(ranks, self.ranks, self.values)
        across = self.ranks[-1] - self.ranks[0]
        slope = (self.values[-1] - self.values[0]) / across if across else 0.0
        outside: Values = slope * (ranks - np.clip(ranks, self.ranks[0], self.ranks[-1]))
        return inside + outside


class Fitted(NamedTuple):
    """Features, scale of the targets and estimator, all fitted."""

    features: Features
    scale: Scale
    model: Any

    def predict(self, scores: pd.DataFrame) -> tuple[Values, Values]:
        """The predictions, and what the model holds them to be off, in the units of the targets; 1 if it cannot say."""
        table = self.features.transform(scores)
        ranks = np.asarray(self.model.predict(table), dtype=float)
        off = spread(self.model, table)
        if off is None:
            return self.scale.to_values(ranks), np.ones(len(ranks))
        off = np.maximum(off, SURE)
        return self.scale.to_values(ranks), (self.scale.to_values(ranks + off) - self.scale.to_values(ranks - off)) / 2


class Surrogate(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Learns accuracy from a few trained architectures, and predicts that of all others, with its uncertainty.

    A scikit-learn regressor of pandas data frames, as `Features` takes them. It learns the ranks of the targets and
    translates predicted ranks back, so that one architecture that did not learn at all does not outweigh all others;
    beyond the targets seen it goes on in a straight line.

    Args:
        space: the architectures' space, or its name; None for any networks.
        estimator: "blend", "boosting", "forest", "gp" or "ridge", of `ESTIMATORS`, or any scikit-learn regressor.
        parts: what it sees of an architecture; see `Features`.
        seed: of the estimator and of the folds.

    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(60, 2)), columns=["snip", "naswot"])
    >>> y = 0.9 + 0.02 * X["snip"]
    >>> surrogate = Surrogate(estimator="ridge").fit(X[:20], y[:20], pool=X)
    >>> mean, std = surrogate.predict(X[20:], return_std=True)
    >>> bool(np.corrcoef(mean, y[20:])[0, 1] > 0.9), surrogate.validate(X[:20], y[:20]).trusted
    (True, True)
    """

    def __init__(
        self,
        space: SearchSpace | str | None = None,
        estimator: Any = "blend",
        parts: str | Sequence[str] = "auto",
        seed: int = 0,
    ) -> None:
        self.space = space
        self.estimator = estimator
        self.parts = parts
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: npt.ArrayLike, pool: pd.DataFrame | None = None) -> Self:  # noqa: N803
        """Learn from the scores `X` and accuracies `y` of trained architectures.

        With `pool`, the scores of all candidates, a score counts by its rank among them; without, by its rank among
        the trained. Uncertainty is what the estimator says, times the factor that gives errors out of five folds unit
        variance. With fewer than 5 targets it is their standard deviation; constant targets are predicted with none.

        Raises `InputError` for fewer than 2 targets, for any that is not finite, and for lengths that differ.
        """
        X, targets = checked(X), checked_targets(X, y)  # noqa: N806
        self.n_features_in_ = X.shape[1]
        self.targets_ = targets
        self.constant_ = bool(np.ptp(targets) == 0)
        if self.constant_:
            return self
        self.fitted_ = self._fitted(X, targets, pool)
        if len(targets) < FEWEST:
            self.factor_ = float(targets.std(ddof=1))
            return self
        squares: list[float] = []
        for train, test in folds(len(targets), min(5, len(targets)), self.seed):
            if np.ptp(targets[train]):
                mean, std = self._fitted(X.iloc[train], targets[train], pool).predict(X.iloc[test])
                squares.extend(((targets[test] - mean) / std) ** 2)
        self.factor_ = float(np.sqrt(np.mean(squares)))
        return self

    @overload
    def predict(self, X: pd.DataFrame, return_std: Literal[False] = False) -> Values: ...  # noqa: N803

    @overload
    def predict(self, X: pd.DataFrame, return_std: Literal[True]) -> tuple[Values, Values]: ...  # noqa: N803

    def predict(self, X: pd.DataFrame, return_std: bool = False) -> Values | tuple[Values, Values]:  # noqa: N803
        """The accuracy expected of each architecture; with `return_std`, and its standard deviation."""
        check_is_fitted(self)
        if self.constant_:
            mean, std = np.full(len(X), self.targets_[0]), np.zeros(len(X))
        else:
            mean, std = self.fitted_.predict(X)
            std = std * self.factor_ if len(self.targets_) >= FEWEST else np.full(len(X), self.factor_)
        return (mean, std) if return_std else mean

    def validate(
        self,
        X: pd.DataFrame,  # noqa: N803
        y: npt.ArrayLike,
        pool: pd.DataFrame | None = None,
        repeats: int = 5,
    ) -> Validation:
        """Kendall's τ between predictions and accuracies that were left out, and whether it is surely above 0.

        Architectures are split into five folds, of two at least, `repeats` times anew, and each is predicted from the
        others. Of
        two in the same fold, either is the better; τ is the share of pairs told right less that told wrong. Its 95 %
        interval comes from resampled architectures. Fewer than 5 targets or constant ones give NaN and the reason.
        Raises what `fit` raises. The surrogate itself stays as it is.
        """
        X, targets = checked(X), checked_targets(X, y)  # noqa: N806
        if len(targets) < FEWEST:
            return Validation.without(len(targets), f"cross-validation needs {FEWEST} targets, but got {len(targets)}")
        if np.ptp(targets) == 0:
            return Validation.without(len(targets), "all targets are equal, there is no order to predict")
        predictions = np.full((repeats, len(targets)), np.nan)
        fold = np.zeros((repeats, len(targets)), dtype=int)
        for repeat in range(repeats):
            for number, (train, test) in enumerate(folds(len(targets), min(5, len(targets) // 2), self.seed + repeat)):
                fold[repeat, test] = number
                if np.ptp(targets[train]) == 0:
                    predictions[repeat, test] = targets[train][0]
                    continue
                predictions[repeat, test], _ = self._fitted(X.iloc[train], targets[train], pool).predict(X.iloc[test])
        return judged(predictions, fold, targets, self.seed)

    def _fitted(self, scores: pd.DataFrame, targets: Values, pool: pd.DataFrame | None) -> Fitted:
        among = scores if pool is None else joined(checked(pool), scores)
        features, scale = Features(self.space, self.parts).fit(among), Scale.of(targets)
        model = estimator_of(self.estimator, self.seed)
        return Fitted(features, scale, fit_quietly(model, features.transform(scores), scale.to_ranks(targets)))


def joined(pool: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The pool, and what of the scores is not in it."""
    missing = [str(name) for name in scores if name not in pool]
    if missing:
        raise InputError(f"the pool lacks the columns {', '.join(missing)}; give it all that the trained ones have")
    return pd.concat([pool[list(scores.columns)], scores[~scores.index.isin(pool.index)]])


def folds(n: int, count: int, seed: int) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Pairs of places to train on and to test on."""
    return list(KFold(count, shuffle=True, random_state=seed).split(np.empty(n)))


def checked_targets(scores: pd.DataFrame, y: npt.ArrayLike) -> Values:
    """The targets as an array of floats, one for each row of scores."""
    try:
        targets = np.asarray(y, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"targets must be numbers, such as accuracies: {error}") from error
    if targets.ndim != 1 or len(targets) != len(scores):
        raise InputError(
            f"there must be one target for each of the {len(scores)} rows of scores, but targets have shape "
            f"{targets.shape}"
        )
    if isinstance(y, pd.Series) and not y.index.equals(scores.index):
        raise InputError(
            "the targets are of other architectures than the scores, or in another order; use y.loc[X.index]"
        )
    if not np.isfinite(targets).all():
        raise InputError(
            f"{np.sum(~np.isfinite(targets))} of {len(targets)} targets are not finite; leave out architectures whose "
            "training failed"
        )
    if len(targets) < 2:
        raise InputError(f"a surrogate needs at least 2 trained architectures, but got {len(targets)}; train more")
    return targets
