"""Surrogates: the scikit-learn contract, what is learnt, calibration, and what happens with few targets."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zerocost import spaces
from zerocost.base.errors import InputError
from zerocost.predict.estimators import ESTIMATORS
from zerocost.predict.surrogate import Surrogate
from zerocost.predict.validation import validate_predictions


def problem(n: int, noise: float = 0.3, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Accuracies that follow the ranks of two scores, with noise; a third score says nothing."""
    rng = np.random.default_rng(seed)
    names = [f"net{i}" for i in range(n)]
    scores = pd.DataFrame(rng.uniform(size=(n, 3)), columns=["snip", "zen", "luck"], index=names)
    truth = 0.8 + 0.05 * (scores["snip"] + 0.5 * scores["zen"] + noise * rng.normal(size=n))
    return np.exp(5 * scores), truth


X, Y = problem(200)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_learns_and_repeats_itself(estimator: str) -> None:
    surrogate = Surrogate(estimator=estimator).fit(X[:30], Y[:30], pool=X)
    mean, std = surrogate.predict(X[30:], return_std=True)
    assert mean.shape == std.shape == (170,)
    assert (std > 0).all()
    assert Y[30:].corr(pd.Series(mean, Y[30:].index), method="spearman") > 0.5
    few = [clone(surrogate).fit(X[:4], Y[:4], pool=X).predict(X[30:]) for _ in range(2)]
    assert np.array_equal(*few)


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        BayesianRidge(),
        make_pipeline(StandardScaler(), GaussianProcessRegressor(alpha=0.1, normalize_y=True)),
    ],
)
def test_any_regressor_of_scikit_learn(estimator: object) -> None:
    surrogate = Surrogate(estimator=estimator).fit(X[:30], Y[:30])
    mean, std = surrogate.predict(X[30:60], return_std=True)
    assert (std > 0).all()
    assert Y[30:60].corr(pd.Series(mean, Y[30:60].index), method="spearman") > 0.3
    assert not hasattr(estimator, "coef_")


@pytest.mark.parametrize("estimator", ["gp", "ridge"])
def test_uncertainty_is_calibrated(estimator: str) -> None:
    errors = []
    for seed in range(3):
        scores, truth = problem(120, seed=seed)
        mean, std = Surrogate(estimator=estimator).fit(scores[:40], truth[:40], scores).predict(scores[40:], True)
        errors.extend((truth[40:] - mean) / std)
    assert 0.7 < np.std(errors) < 1.4


def test_the_contract_of_scikit_learn() -> None:
    surrogate = Surrogate("nasbench201", "ridge", ("proxies",), 3)
    assert clone(surrogate).get_params() == surrogate.get_params()
    assert surrogate.set_params(seed=4).seed == 4
    # The noise alone leaves at most 0.54 of the variance to be explained; the mean would explain 0.
    assert cross_val_score(Surrogate(estimator="ridge"), X, Y, cv=4).mean() > 0.4
    assert Surrogate(estimator="ridge").fit(X, Y).score(X, Y) > 0.4


def test_predictions_go_beyond_the_targets_seen() -> None:
    scores = pd.DataFrame({"snip": np.arange(100.0)}, index=[f"net{i}" for i in range(100)])
    truth = 0.5 + scores["snip"] / 1000
    mean = Surrogate(estimator=LinearRegression()).fit(scores[20:80], truth[20:80], pool=scores).predict(scores)
    assert mean == pytest.approx(truth.to_numpy(), abs=0.003)


def test_the_pool_tells_what_the_trained_ones_are_among() -> None:
    high = X.sort_values("snip")[-20:]
    inductive, transductive = (
        Surrogate(estimator="ridge").fit(high, Y[high.index]),
        Surrogate(estimator="ridge").fit(high, Y[high.index], pool=X),
    )
    assert inductive.fitted_.features.transform(high)["rank:snip"].min() == 1 / 20
    assert transductive.fitted_.features.transform(high)["rank:snip"].min() == 181 / 200
    outside = Surrogate(estimator="ridge").fit(high, Y[high.index], pool=X.drop(high.index))
    assert outside.fitted_.features.transform(high)["rank:snip"].min() == 181 / 200


def test_structure_alone_is_enough() -> None:
    space = spaces.get("nasbench201")
    texts = [str(arch) for arch in spaces.distinct(space, 120, np.random.default_rng(0))]
    scores = pd.DataFrame(index=texts)
    truth = pd.Series([text.count("conv_3x3") + 0.3 * text.count("skip") for text in texts], texts, dtype=float)
    mean = Surrogate(space, "ridge").fit(scores[:40], truth[:40], pool=scores).predict(scores[40:])
    assert truth[40:].corr(pd.Series(mean, texts[40:]), method="spearman") > 0.6


def test_failed_scores_do_not_stop_it() -> None:
    broken = X.copy()
    broken.iloc[::3, 0] = np.nan
    assert np.isfinite(Surrogate(estimator="ridge").fit(broken[:30], Y[:30], broken).predict(broken)).all()


def test_constant_targets() -> None:
    surrogate = Surrogate().fit(X[:10], np.full(10, 0.7))
    mean, std = surrogate.predict(X, return_std=True)
    assert set(mean) == {0.7}
    assert set(std) == {0.0}
    validation = surrogate.validate(X[:10], np.full(10, 0.7))
    assert math.isnan(validation.kendall)
    assert not validation.trusted
    assert str(validation) == "not trusted: all targets are equal, there is no order to predict"


def test_nearly_constant_targets() -> None:
    targets = np.array([0.5] * 7 + [0.6])
    mean, std = Surrogate(estimator="ridge").fit(X[:8], targets).predict(X, return_std=True)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()
    assert not Surrogate(estimator="ridge").validate(X[:8], targets).trusted


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_targets(n: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        surrogate = Surrogate().fit(X[:n], Y[:n])
        mean, std = surrogate.predict(X, return_std=True)
    assert np.isfinite(mean).all()
    assert np.isnan(std).all()
    assert np.isnan(Surrogate().fit(X[:n], np.full(n, 0.7)).predict(X, return_std=True)[1]).all()
    validation = surrogate.validate(X[:n], Y[:n])
    assert not validation.trusted
    assert validation.reason == f"cross-validation needs 5 targets, but got {n}"


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (Y[:1], "one target for each of the 3 rows"),
        ([0.1, 0.2, np.nan], "1 of 3 targets are not finite; leave out"),
        (["a", "b", "c"], "must be numbers"),
        (Y[:3][::-1], r"use y.loc\[X.index\]"),
    ],
)
def test_targets_that_cannot_be_used(targets: object, message: str) -> None:
    for method in (Surrogate().fit, Surrogate().validate):
        with pytest.raises(InputError, match=message):
            method(X[:3], targets)


def test_an_architecture_in_several_rows_is_refused() -> None:
    """In cross-validation it would be in the fold that is predicted and in those that are learnt from."""
    twice = [*X.index[:6], *X.index[:6]]
    for method in (Surrogate().fit, Surrogate().validate):
        with pytest.raises(InputError, match="'net0' more than once; give one row an architecture"):
            method(X.loc[twice], Y[twice])


def test_other_input_that_cannot_be_used() -> None:
    with pytest.raises(InputError, match="at least 2 trained architectures, but got 1"):
        Surrogate().fit(X[:1], Y[:1])
    with pytest.raises(InputError, match="did you mean 'forest'"):
        Surrogate(estimator="forrest").fit(X, Y)
    with pytest.raises(InputError, match="scikit-learn regressor, but got int"):
        Surrogate(estimator=3).fit(X, Y)
    with pytest.raises(InputError, match="the pool lacks the columns zen"):
        Surrogate().fit(X[:9], Y[:9], pool=X.drop(columns="zen"))


def test_predictions_that_cannot_be_made() -> None:
    with pytest.raises(InputError, match="learnt nothing yet; call fit") as caught:
        Surrogate().predict(X)
    assert isinstance(caught.value, NotFittedError)
    with pytest.raises(InputError, match="no architecture to predict"):
        Surrogate(estimator="ridge").fit(X[:9], Y[:9]).predict(X[:0])


def test_validation_tells_what_works_from_what_does_not() -> None:
    good = Surrogate(estimator="ridge").validate(X[:40], Y[:40])
    assert good.trusted
    assert 0 < good.low < good.kendall < good.high < 1
    assert good == Surrogate(estimator="ridge").validate(X[:40], Y[:40])
    assert "40 architectures" in str(good)
    nothing = Surrogate(estimator="ridge").validate(X[:40], np.random.default_rng(1).normal(size=40))
    assert not nothing.trusted
    assert nothing.low < 0 < nothing.high


def test_pairs_across_folds_do_not_count() -> None:
    """Each fold is predicted in the right order, but at a level that is wrong beside the other."""
    targets, fold = np.arange(10.0), np.repeat([[0, 1]], 5, axis=1).reshape(1, -1)
    predictions = (targets - 100 * fold[0])[None]
    assert validate_predictions(predictions, fold, targets, 0).kendall == 1.0
