"""The loop train, fit, choose: what is measured, in which order, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsRegressor

from zerocost.base.errors import Failure, InputError
from zerocost.predict import Stopped, Surrogate, expected_improvement, train_fit_choose, upper_bound

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.uniform(size=(80, 2)), columns=["snip", "zen"], index=[f"net{i}" for i in range(80)])
TRUTH = 0.9 - (X["snip"] - 0.5) ** 2 + 0.1 * X["zen"]
"""Best where snip is in the middle: the order of the scores alone misses it."""
FAST = Surrogate(estimator=KNeighborsRegressor(2))


def look_up(names: list[str]) -> list[float]:
    return TRUTH[names].to_list()


@settings(deadline=None, max_examples=50)
@given(st.floats(-1, 1), st.floats(0, 1), st.floats(-1, 1))
def test_expected_improvement_is_at_least_that_of_the_mean(mean: float, std: float, best: float) -> None:
    found = expected_improvement([mean], [std], best)[0]
    assert found >= max(mean - best, 0.0) - 1e-12
    assert expected_improvement([mean], [std + 0.1], best)[0] >= found - 1e-12


def test_upper_bound() -> None:
    assert upper_bound([0.5], [0.1], kappa=3).tolist() == pytest.approx([0.8])


@pytest.mark.parametrize("acquisition", ["ei", "ucb", "mean"])
def test_the_first_by_score_and_the_others_by_the_surrogate(acquisition: str) -> None:
    progress = train_fit_choose(X, look_up, budget=22, batch=6, first="snip", surrogate=FAST, acquisition=acquisition)
    frame = progress.frame
    assert list(frame.index[:6]) == list(X["snip"].sort_values(ascending=False).index[:6])
    assert frame.index.is_unique
    assert frame["round"].value_counts(sort=False).to_list() == [6, 6, 6, 4]
    assert frame["expected"].isna().sum() == 6
    assert (frame["value"] == TRUTH[frame.index]).all()
    assert progress.best[1] > TRUTH[X["snip"].sort_values()[-22:].index].max()
    assert progress.surrogate is not None
    assert len(progress.surrogate.targets_) == 22


def test_a_budget_beyond_the_candidates_ends() -> None:
    progress = train_fit_choose(X[:12], look_up, budget=100, batch=5, surrogate=FAST)
    assert sorted(progress.measured.index) == sorted(X.index[:12])


def test_failed_measurements_are_kept_and_cost_budget() -> None:
    def half(names: list[str]) -> list[float]:
        return [float("nan") if int(name[3:]) % 2 else TRUTH[name] for name in names]

    progress = train_fit_choose(X, half, budget=20, batch=4, surrogate=FAST)
    assert len(progress.frame) == 20
    assert 0 < progress.measured.isna().sum() < 20
    assert set(progress.failures) == set(progress.measured.index[progress.measured.isna()])


def test_a_failure_fails_what_has_no_value_yet() -> None:
    def breaks(names: list[str]) -> Iterator[float]:
        yield TRUTH[names[0]]
        raise Failure("out of memory")

    progress = train_fit_choose(X, breaks, budget=6, batch=3, surrogate=FAST)
    assert progress.measured.notna().to_list() == [True, False, False] * 2
    assert set(progress.failures.values()) == {"out of memory"}


def test_when_all_fail() -> None:
    progress = train_fit_choose(X, lambda names: [float("nan")] * len(names), budget=9, surrogate=FAST)
    assert progress.surrogate is None
    with pytest.raises(InputError, match="none of 9 measurements succeeded"):
        _ = progress.best


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("disk full")])
def test_what_was_measured_is_kept_and_gone_on_from(error: BaseException) -> None:
    asked: list[str] = []

    def stops(names: list[str]) -> Iterator[float]:
        for name in names:
            if len(asked) == 14:
                raise error
            asked.append(name)
            yield TRUTH[name]

    with pytest.raises(Stopped, match="14 architectures were measured") as stopped:
        train_fit_choose(X, stops, budget=20, batch=4, surrogate=FAST)
    kept = stopped.value.progress.measured
    assert list(kept.index) == asked
    asked.clear()
    progress = train_fit_choose(X, look_up, budget=20, batch=4, surrogate=FAST, measured=kept)
    assert progress.measured.iloc[:14].equals(kept)
    assert progress.frame.index.is_unique
    assert len(progress.frame) == 20


def test_the_number_of_values_must_be_right() -> None:
    for measure in (lambda names: [0.5], lambda names: [0.5] * 20):
        with pytest.raises(Stopped, match="measure"):
            train_fit_choose(X, measure, budget=8, surrogate=FAST)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "at least 1"),
        ({"acquisition": "eu"}, "unknown acquisition 'eu'"),
        ({"first": "snipp"}, "did you mean 'snip'"),
        ({"first": X["snip"][:70]}, "no value for 10 candidates"),
        ({"measured": pd.Series({"other": 0.5})}, "'other' was measured but is no candidate"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_fit_choose(X, look_up, **({"budget": 8} | arguments))


def test_candidates_that_cannot_be_used() -> None:
    with pytest.raises(InputError, match="'net0' is there twice"):
        train_fit_choose(pd.concat([X, X[:1]]), look_up, budget=8)
    with pytest.raises(InputError, match="no candidate"):
        train_fit_choose(X[:0], look_up, budget=8)
    with pytest.raises(InputError, match="no column"):
        train_fit_choose(X[[]], look_up, budget=8)
