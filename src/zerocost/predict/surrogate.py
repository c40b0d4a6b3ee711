"""Predicts the accuracy of untrained architectures from those that were trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self, overload

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold

from zerocost.base.errors import InputError
from zerocost.predict.estimators import Values, fit_quietly, make_estimator, predicted_std
from zerocost.predict.features import Features, numeric_scores
from zerocost.predict.validation import Validation, validate_predictions
from zerocost.spaces import SearchSpace

_FEWEST_TARGETS = 5
"""Fewest targets for cross-validation."""
_LEAST_STD = 0.02
"""The least standard deviation of a prediction, in ranks from 0 to 1: targets are not exact either."""


class _NotFitted(InputError, NotFittedError):  # type: ignore[misc]
    """A surrogate was asked before it was fitted; scikit-learn expects its own error."""


class _RankScale(NamedTuple):
    """Converts targets to ranks from 0 to 1 and back; beyond the known targets, along the line through both ends."""

    values: Values
    ranks: Values

    @classmethod
    def of(cls, targets: Values) -> _RankScale:
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


class _FittedModel(NamedTuple):
    """Features, scale of the targets and estimator, all fitted."""

    features: Features
    scale: _RankScale
    model: Any

    def predict(self, scores: pd.DataFrame) -> tuple[Values, Values]:
        """Predictions and their standard deviations in the units of the targets; 1 if the model has none."""
        table = self.features.transform(scores)
        ranks = np.asarray(self.model.predict(table), dtype=float)
        off = predicted_std(self.model, table)
        if off is None:
            return self.scale.to_values(ranks), np.ones(len(ranks))
        off = np.maximum(off, _LEAST_STD)
        return self.scale.to_values(ranks), (self.scale.to_values(ranks + off) - self.scale.to_values(ranks - off)) / 2


class Surrogate(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Learns accuracy from a few trained architectures and predicts that of all others, with uncertainty.

    A scikit-learn regressor of pandas data frames, as `Features` takes them. It learns the ranks of the targets and
    converts predicted ranks back, so that one architecture that failed to learn does not outweigh all others. Beyond
    the known targets it extrapolates in a straight line. Targets may be any metric: predictions are in its units, and
    of an error, too, the lowest are the best.

    Args:
        space: the architectures' space, or its name; None for networks of no space.
        estimator: "blend", "boosting", "forest", "gp" or "ridge", of `ESTIMATORS`, or any scikit-learn regressor.
        parts: the features to learn from; see `Features`.
        seed: seeds the estimator and the folds.

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
        """Learn from trained architectures.

        The uncertainty of a prediction is the estimator's, times the factor that gives the errors of five-fold
        cross-validation unit variance. With fewer than 5 targets it is unknown, NaN; for 5 or more that are all equal
        it is 0.

        Args:
            X: scores of trained architectures.
            y: their accuracies.
            pool: scores of all candidates, to rank scores among; if None, they are ranked among the trained.

        Raises:
            InputError: fewer than 2 targets, not as many as scores, one that is not finite, or an architecture that is
                there twice.
        """
        X, targets = numeric_scores(X), _numeric_targets(X, y)  # noqa: N806
        self.n_features_in_ = X.shape[1]
        self.targets_ = targets
        self.constant_ = bool(np.ptp(targets) == 0)
        self.factor_ = 1.0 if len(targets) >= _FEWEST_TARGETS else np.nan
        if self.constant_:
            return self
        self.fitted_ = self._fitted(X, targets, pool)
        if len(targets) < _FEWEST_TARGETS:
            return self
        squares: list[float] = []
        for train, test in _split_folds(len(targets), min(5, len(targets)), self.seed):
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
        """The expected accuracy of each architecture; with `return_std`, also its standard deviation.

        Fitted to fewer than 5 targets, it cannot tell how far it is off: all deviations are NaN.

        Raises:
            InputError: `fit` was not called yet, which is a NotFittedError of scikit-learn as well; scores without
                rows, or without a column that it was fitted with.
        """
        if not hasattr(self, "targets_"):
            raise _NotFitted("the surrogate has learnt nothing yet; call fit with trained architectures first")
        if not len(X):
            raise InputError("there is no architecture to predict: the scores have no rows")
        if self.constant_:
            mean, std = np.full(len(X), self.targets_[0]), np.zeros(len(X))
        else:
            mean, std = self.fitted_.predict(X)
        return (mean, std * self.factor_) if return_std else mean

    def validate(
        self,
        X: pd.DataFrame,  # noqa: N803
        y: npt.ArrayLike,
        pool: pd.DataFrame | None = None,
        repeats: int = 5,
    ) -> Validation:
        """Kendall's τ between predictions and held-out accuracies, and whether its interval is above 0.

        Architectures are split into five folds of at least two, and each fold is predicted from the others. τ is the
        share of pairs within a fold that are ordered right, less the share ordered wrong. Its 95 % interval comes from
        resampled architectures. Fewer than 5 targets, or constant ones, give NaN and the reason. The surrogate itself
        does not change.

        Args:
            X: scores of trained architectures.
            y: their accuracies.
            pool: scores of all candidates, as in `fit`.
            repeats: how often architectures are split anew.

        Raises:
            InputError: as in `fit`.
        """
        X, targets = numeric_scores(X), _numeric_targets(X, y)  # noqa: N806
        if len(targets) < _FEWEST_TARGETS:
            return Validation.without(
                len(targets), f"cross-validation needs {_FEWEST_TARGETS} targets, but got {len(targets)}"
            )
        if np.ptp(targets) == 0:
            return Validation.without(len(targets), "all targets are equal, there is no order to predict")
        predictions = np.full((repeats, len(targets)), np.nan)
        fold = np.zeros((repeats, len(targets)), dtype=int)
        for repeat in range(repeats):
            for number, (train, test) in enumerate(
                _split_folds(len(targets), min(5, len(targets) // 2), self.seed + repeat)
            ):
                fold[repeat, test] = number
                if np.ptp(targets[train]) == 0:
                    predictions[repeat, test] = targets[train][0]
                    continue
                predictions[repeat, test], _ = self._fitted(X.iloc[train], targets[train], pool).predict(X.iloc[test])
        return validate_predictions(predictions, fold, targets, self.seed)

    def _fitted(self, scores: pd.DataFrame, targets: Values, pool: pd.DataFrame | None) -> _FittedModel:
        among = scores if pool is None else _pool_with(numeric_scores(pool), scores)
        features, scale = Features(self.space, self.parts).fit(among), _RankScale.of(targets)
        model = make_estimator(self.estimator, self.seed)
        return _FittedModel(features, scale, fit_quietly(model, features.transform(scores), scale.to_ranks(targets)))


def _pool_with(pool: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The pool, followed by the scores of architectures that are not in it."""
    missing = [str(name) for name in scores if name not in pool]
    if missing:
        raise InputError(f"the pool lacks the columns {', '.join(missing)}; give it all columns of the scores")
    return pd.concat([pool[list(scores.columns)], scores[~scores.index.isin(pool.index)]])


def _split_folds(n: int, count: int, seed: int) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Pairs of places to train on and to test on."""
    return list(KFold(count, shuffle=True, random_state=seed).split(np.empty(n)))


def _numeric_targets(scores: pd.DataFrame, y: npt.ArrayLike) -> Values:
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
    again = scores.index[scores.index.duplicated()]
    if len(again):
        raise InputError(
            f"the scores have {again[0]!r} more than once; give one row an architecture, its target the mean over its "
            "trainings"
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
