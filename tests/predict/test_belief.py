"""Learning from few trainings: what is expected, what is trained next, and what the result does not depend on."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from zerocost import spaces
from zerocost.base.errors import InputError
from zerocost.predict import Belief, Features, learn
from zerocost.predict.process import Part, fit_process

RNG = np.random.default_rng(0)
NAMES = [f"net{i}" for i in range(60)]
X = pd.DataFrame(
    {
        "rank:snip": RNG.uniform(size=60),
        "rank:zen": RNG.uniform(size=60),
        "encoding:wide": np.arange(60) % 2,
        "encoding:deep": np.arange(60) % 3 == 0,
        "count:conv": np.arange(60) % 5,
    },
    index=NAMES,
    dtype=float,
)
SCORE = X["rank:snip"] + X["rank:zen"]
TRUTH = 70 + 3 * X["rank:snip"] + 2 * X["count:conv"] - 4 * X["encoding:deep"]
FEW = TRUTH.iloc[[3, 14, 25, 36, 47, 58, 9, 20]]


def same(a: Belief, b: Belief) -> bool:
    return bool(np.allclose(a.mean[NAMES], b.mean[NAMES]) and np.allclose(a.std[NAMES], b.std[NAMES]))


def test_nothing_trained_leaves_the_order_of_the_score() -> None:
    belief = learn(X, SCORE, {})
    assert list(belief.mean.sort_values().index) == list(SCORE.sort_values().index)
    assert belief.next() == [(belief.mean + np.sqrt(belief._process.variance)).idxmax()]
    few = learn(X, SCORE, FEW)
    left = few.mean.drop(FEW.index).index
    assert few.next() == [(few.mean + np.sqrt(few._process.variance) * few._process.unknowns.unit)[left].idxmax()]
    with pytest.raises(InputError, match="none of 0 trainings"):
        _ = belief.best


def test_a_batch_is_spread_over_what_differs() -> None:
    twins = pd.concat([X.iloc[:30], X.iloc[:30].set_axis([f"twin{i}" for i in range(30)])])
    score = pd.Series(SCORE.iloc[:30].tolist() * 2, twins.index)
    chosen = learn(twins, score, {}).next(6)
    by_score = [str(name) for name in score.sort_values(ascending=False, kind="stable").index[:6]]
    assert _different(by_score) == 3
    assert _different(chosen) > 3


def test_what_failed_is_no_reason_to_train() -> None:
    failed = X.assign(**{"failed:snip": np.arange(60) == 7})
    assert learn(failed, SCORE, FEW).next(9) == learn(X, SCORE, FEW).next(9)


def _different(names: list[str]) -> int:
    return len({name.removeprefix("net").removeprefix("twin") for name in names})


def test_structure_that_the_scores_do_not_know_is_learnt() -> None:
    trained: dict[str, float] = {}
    for _ in range(3):
        trained |= TRUTH[learn(X, SCORE, trained).next(3)].to_dict()
    assert len(trained) == 9
    assert TRUTH.idxmax() in trained
    assert TRUTH.idxmax() not in SCORE.nlargest(9).index


def test_beats_the_score_on_what_was_not_trained() -> None:
    rest = TRUTH.drop(FEW.index)
    belief = learn(X, SCORE, FEW)
    assert belief.mean[rest.index].corr(rest, method="spearman") > SCORE[rest.index].corr(rest, method="spearman") + 0.2
    errors = (rest - belief.mean[rest.index]) / belief.std[rest.index]
    assert 0.3 < np.sqrt((errors**2).mean()) < 2
    assert belief.trust.index.tolist() == ["score", "snip", "zen"]
    assert belief.trust["snip"] > belief.trust["zen"]


def test_a_score_that_misleads_is_left() -> None:
    trained = TRUTH.iloc[::3]
    wrong, right = learn(X, -TRUTH, trained), learn(X, TRUTH, trained)
    assert right.trust["score"] > wrong.trust["score"] >= 0
    rest = TRUTH.drop(trained.index)
    assert wrong.mean[rest.index].corr(rest, method="spearman") > 0.3


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(60)), st.permutations(range(8)))
def test_the_order_of_candidates_and_trainings_does_not_matter(rows: list[int], few: list[int]) -> None:
    belief, other = learn(X, SCORE, FEW), learn(X.iloc[rows], SCORE, FEW.iloc[few])
    assert same(belief, other)
    assert belief.next(4) == other.next(4)


@settings(deadline=None, max_examples=15)
@given(st.floats(1e-3, 1e3), st.floats(-100, 100), st.floats(0.1, 10))
def test_units_do_not_matter(factor: float, offset: float, power: float) -> None:
    belief = learn(X, SCORE, FEW, noise=0.1)
    other = learn(X * 3, SCORE**power, FEW * factor + offset, noise=0.1 * factor)
    assert np.allclose(belief.mean * factor + offset, other.mean, rtol=1e-5, atol=1e-5 * factor)
    assert np.allclose(belief.std * factor, other.std, rtol=1e-5)
    assert belief.next(3) == other.next(3)


def test_known_noise_is_not_followed() -> None:
    exact, noisy = learn(X, SCORE, FEW), learn(X, SCORE, FEW, noise=float(FEW.std()))
    change = [np.std(belief.mean[FEW.index] - FEW) for belief in (exact, noisy)]
    assert change[1] > change[0]
    one = learn(X, SCORE, FEW, noise=dict.fromkeys(FEW.index, float(FEW.std())))
    assert same(noisy, one)


def test_the_best_makes_up_for_luck() -> None:
    lucky = FEW.copy()
    lucky[FEW.idxmin()] = FEW.max() + 0.01
    noise = pd.Series(0.01, FEW.index)
    noise[FEW.idxmin()] = 20.0
    assert learn(X, SCORE, lucky, noise).best == FEW.idxmax()


@pytest.mark.parametrize("failed", [np.nan, np.inf, -np.inf])
def test_a_failed_training_counts_as_the_lowest(failed: float) -> None:
    trained = FEW.copy()
    trained.iloc[0] = failed
    belief = learn(X, SCORE, trained)
    assert np.isnan(belief.trained.iloc[0])
    assert belief.best != FEW.index[0]
    lowest = FEW.copy()
    lowest.iloc[0] = FEW.iloc[1:].min()
    assert same(belief, learn(X, SCORE, lowest))
    assert FEW.index[0] not in belief.next(52)


@pytest.mark.parametrize("values", [[80.0], [80.0, 80.0, 80.0], [np.nan, np.nan], [80.0, 81.0]])
def test_few_or_equal_accuracies(values: list[float]) -> None:
    trained = dict(zip(NAMES, values, strict=False))
    belief = learn(X, SCORE, trained)
    assert np.isfinite(belief.mean).all()
    assert (belief.std > 0).all()
    chosen = belief.next(5)
    assert len(set(chosen) - set(trained)) == 5


def test_scores_without_information() -> None:
    belief = learn(X, pd.Series(1.0, NAMES), FEW)
    assert np.isfinite(belief.mean).all()
    assert same(learn(X.assign(**{"count:same": 1.0}), SCORE, FEW), learn(X.assign(**{"count:same": 9.0}), SCORE, FEW))
    partly = SCORE.where(np.arange(60) % 7 > 0, -np.inf)
    assert same(learn(X, partly, FEW), learn(X, partly.replace(-np.inf, np.nan), FEW))


def test_all_candidates_end_up_trained() -> None:
    belief = learn(X, SCORE, TRUTH.iloc[:58])
    assert sorted(belief.next(9)) == sorted(NAMES[58:])
    assert learn(X, SCORE, TRUTH).next(2) == []


def test_the_process_is_that_of_a_textbook() -> None:
    """One part, known unknowns: mean and variance by the normal equations with the level as a flat prior."""
    points = RNG.normal(size=(12, 3))
    places, targets = np.array([1, 4, 6, 9]), np.array([1.0, 3.0, 2.0, 5.0])
    process = fit_process([Part(points, 1.0, False)], points[:, 0], places, targets, np.zeros(4))
    weight, (_, noise, slope, unit, *_) = process.unknowns.weights[0], process.unknowns
    covariance = weight * points @ points.T
    seen = np.linalg.inv(covariance[np.ix_(places, places)] + noise * np.eye(4))
    left = targets / unit - slope * points[places, 0]
    level = seen.sum(0) @ left / seen.sum()
    mean = level + slope * points[:, 0] + covariance[:, places] @ seen @ (left - level)
    variance = np.diag(covariance - covariance[:, places] @ seen @ covariance[places])
    assert np.allclose(process.mean, mean)
    assert np.allclose(process.variance, variance)
    rise = process.slopes(0) / points.std(0)
    assert np.allclose(points @ rise, covariance[:, places] @ seen @ (left - level))
    level_left = 1 - covariance[:, places] @ seen.sum(1)
    assert np.allclose(process.level_variance, level_left**2 / seen.sum())
    score_level = seen.sum(0) @ points[places, 0] / seen.sum()
    score_left = points[:, 0] - score_level - covariance[:, places] @ seen @ (points[places, 0] - score_level)
    assert np.allclose(process.score_left, score_left)


def test_deviations_are_those_of_what_training_gives() -> None:
    """Drawn from the model itself, with a rise with the score that differs: as many are within them as should be."""
    quantiles, errors = norm.ppf((rankdata(SCORE) - 0.5) / len(SCORE)), []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rises = rng.normal(size=5) / 2
        truth = pd.Series(rng.choice([0.0, 1.0, 2.0]) * quantiles + X @ rises + rng.normal(size=60) / 3, NAMES)
        trained = truth[rng.permutation(NAMES)[:12]]
        belief, rest = learn(X, SCORE, trained), truth.drop(trained.index)
        errors += list((rest - belief.mean[rest.index]) / belief.std[rest.index])
    assert 0.6 < np.mean(np.abs(errors) < 1) < 0.8
    assert np.mean(np.abs(errors) < 2) > 0.9


def test_failures_teach_beside_one_success() -> None:
    failed = dict.fromkeys(NAMES[:6], np.nan)
    belief = learn(X, 0 * SCORE, failed | {NAMES[30]: 0.9})
    assert belief.mean[NAMES[30]] > belief.mean[NAMES[:6]].max() + 0.1


def test_features_of_a_space() -> None:
    space = spaces.get("nasbench201")
    texts = [str(arch) for arch in spaces.distinct(space, 40, np.random.default_rng(0))]
    scores = pd.DataFrame({"snip": RNG.uniform(size=40), "zen": RNG.uniform(size=40)}, index=texts)
    scores.iloc[3, 0] = np.nan
    features = Features(space, ("proxies", "encoding", "counts")).fit_transform(scores)
    trained = pd.Series({text: float(text.count("nor_conv_3x3")) for text in texts[:12]})
    chosen = learn(features, scores["zen"], trained).next(5)
    rest = pd.Series({text: text.count("nor_conv_3x3") for text in texts[12:]})
    assert rest[chosen].mean() > rest.mean() + 0.5


def test_twenty_thousand_candidates_take_less_than_a_second() -> None:
    many = pd.DataFrame(RNG.uniform(size=(20_000, 40)), columns=[f"encoding:{i}" for i in range(40)]).rename(str)
    score, trained = many["encoding:0"], many["encoding:1"].iloc[:20]
    start = time.process_time()
    assert len(learn(many, score, trained).next(4)) == 4
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": X.add_prefix("colour:")}, "unknown kind of feature 'colour'"),
        ({"features": X[[]]}, "nothing to learn from"),
        ({"features": X[:0]}, "nothing to learn from"),
        ({"features": X[[]].assign(**{"failed:snip": 0.0})}, "nothing to learn from"),
        ({"features": X.replace(X.iloc[0, 0], np.nan)}, "finite"),
        ({"features": pd.concat([X, X[:1]])}, "features has candidate 'net0' twice"),
        ({"score": pd.concat([SCORE, SCORE[:1]])}, "score has candidate 'net0' twice"),
        ({"score": SCORE[1:]}, "'net0' has no score"),
        ({"trained": {"other": 1.0}}, "'other' was trained but is no candidate"),
        ({"noise": -1.0}, "at least 0"),
        ({"features": X.to_numpy()}, "features must be a DataFrame"),
        ({"features": X.set_axis(range(60)), "score": SCORE.set_axis(range(60))}, "named by text, but got 0"),
        ({"score": SCORE.to_dict()}, "score must be a Series"),
        ({"trained": ["net0"]}, "trained must be a number for each candidate"),
        ({"trained": {"net0": "much"}}, "trained must be a number for each candidate"),
        ({"noise": "much"}, "standard deviation"),
        ({"noise": {"net3": 1.0}}, "no value for 7 trained candidates, such as 'net14'"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        learn(**({"features": X, "score": SCORE, "trained": FEW} | arguments))  # type: ignore[arg-type]


def test_at_least_one_is_next() -> None:
    with pytest.raises(InputError, match="at least 1"):
        learn(X, SCORE, FEW).next(0)
