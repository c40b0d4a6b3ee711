"""The estimators that a surrogate can use, and the uncertainty of their predictions."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor, VotingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline

from zerocost.base.errors import InputError, unknown

Values = npt.NDArray[np.float64]
_WEIGHTS = {"rank": 1.0, "failed": 0.1, "graph": 0.3, "encoding": 0.1}
"""How much each kind of feature contributes to the squared distance of two architectures."""


class _Balance(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Standardises columns, and divides the weight of each kind (`rank:…`, `graph:…`) among its columns.

    Without it, thirteen ranks would count little beside a hundred graph features. Takes what `Features` gives.

    >>> table = pd.DataFrame({"rank:a": [0.0, 1.0], "graph:b": [1.0, 3.0], "graph:c": [1.0, 1.0]})
    >>> _Balance().fit_transform(table).round(2).tolist()
    [[-1.0, -0.55, 0.0], [1.0, 0.55, 0.0]]
    """

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: N803
        kinds = [str(name).partition(":")[0] for name in X]
        deviation = X.to_numpy().std(axis=0)
        varies = deviation > 1e-9
        columns = {kind: max(1, sum(k == kind for k, v in zip(kinds, varies, strict=True) if v)) for kind in set(kinds)}
        self.mean_ = X.to_numpy().mean(axis=0)
        shares = np.array([np.sqrt(_WEIGHTS[kind] / columns[kind]) for kind in kinds])
        self.scale_ = np.where(varies, shares / np.where(varies, deviation, 1.0), 0.0)
        return self

    def transform(self, X: pd.DataFrame) -> Values:  # noqa: N803
        scaled: Values = (X.to_numpy() - self.mean_) * self.scale_
        return scaled


class _Prior(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Fits a straight line in the log-rank sum of the scores, and `estimator` to the residuals.

    The log-rank sum is a good guess already, so the few targets are spent on its errors. Takes what `Features` gives;
    without ranks among the features, the line is the mean.
    """

    def __init__(self, estimator: BaseEstimator) -> None:
        self.estimator = estimator

    def fit(self, X: pd.DataFrame, y: Values) -> Self:  # noqa: N803
        self.line_ = LinearRegression().fit(_log_ranks(X), y)
        self.estimator_ = clone(self.estimator).fit(X, y - self.line_.predict(_log_ranks(X)))
        return self

    def predict(self, X: pd.DataFrame) -> Values:  # noqa: N803
        expected: Values = self.line_.predict(_log_ranks(X)) + self.estimator_.predict(X)
        return expected


def _log_ranks(features: pd.DataFrame) -> Values:
    """The mean logarithm of each row's ranks, as one column; 0 without ranks."""
    ranked = [name for name in features if str(name).startswith("rank:")]
    logs = np.log(features[ranked].to_numpy(dtype=float)).mean(axis=1) if ranked else np.zeros(len(features))
    return np.asarray(logs)[:, None]


def _forest(seed: int) -> BaseEstimator:
    return ExtraTreesRegressor(100, max_features=1 / 3, random_state=seed)


def _boosting(seed: int) -> BaseEstimator:
    return GradientBoostingRegressor(max_depth=3, subsample=0.7, max_features=0.3, random_state=seed)


def _gaussian_process(seed: int) -> BaseEstimator:
    kernel = ConstantKernel(1.0) * Matern(3.0, (0.3, 100.0), nu=2.5) + WhiteKernel(0.1, (1e-3, 2.0))
    return make_pipeline(_Balance(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed))


def _ridge(seed: int) -> BaseEstimator:
    return make_pipeline(_Balance(), RidgeCV(np.logspace(-3, 3, 13)))


def _blend(seed: int) -> BaseEstimator:
    return _Prior(VotingRegressor([("gp", _gaussian_process(seed)), ("forest", _forest(seed))]))


ESTIMATORS: dict[str, Callable[[int], BaseEstimator]] = {
    "blend": _blend,
    "boosting": _boosting,
    "forest": _forest,
    "gp": _gaussian_process,
    "ridge": _ridge,
}
"""Makes each estimator from a seed. A forest has extremely randomised trees; a blend is a `_Prior` on it and `gp`."""


def make_estimator(wanted: object, seed: int) -> BaseEstimator:
    """The named estimator, or an unfitted copy of the one given."""
    if isinstance(wanted, str):
        if wanted not in ESTIMATORS:
            raise unknown("estimator", wanted, ESTIMATORS)
        return ESTIMATORS[wanted](seed)
    if isinstance(wanted, BaseEstimator) and hasattr(wanted, "predict"):
        return clone(wanted)
    raise InputError(
        f"an estimator is {', '.join(ESTIMATORS)} or a scikit-learn regressor, but got {type(wanted).__name__}"
    )


def fit_quietly(model: Any, features: pd.DataFrame, targets: Values) -> Any:
    """The fitted model, without warnings of kernel parameters at their bounds, common with few targets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, targets)


def predicted_std(model: Any, features: Any) -> Values | None:
    """The standard deviation of each prediction according to the model; None if it has none.

    For a forest that over its trees, for a Gaussian process its own, for a blend the root mean square over its members.
    """
    if isinstance(model, _Prior):
        return predicted_std(model.estimator_, features)
    if isinstance(model, Pipeline):
        return predicted_std(model[-1], model[:-1].transform(features))
    if isinstance(model, VotingRegressor):
        known = [each for each in (predicted_std(member, features) for member in model.estimators_) if each is not None]
        return np.sqrt(np.mean(np.square(known), axis=0)) if known else None
    if isinstance(model, ExtraTreesRegressor | RandomForestRegressor):
        rows = np.asarray(features)
        return np.asarray(np.std([tree.predict(rows) for tree in model.estimators_], axis=0))
    if "return_std" in inspect.signature(model.predict).parameters:
        return np.asarray(model.predict(features, return_std=True)[1])
    return None
