"""Train a few architectures, fit a surrogate, choose the next ones to train."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm
from sklearn.base import clone

from zerocost.base.errors import Failure, InputError, ZerocostError, unknown
from zerocost.combine.ranks import log_rank
from zerocost.predict.surrogate import FEWEST_TARGETS, Surrogate
from zerocost.spaces import SearchSpace

_Values = npt.NDArray[np.float64]
_Measure = Callable[[list[str]], Iterable[float]]


def expected_improvement(mean: npt.ArrayLike, std: npt.ArrayLike, best: float) -> _Values:
    """Expected improvement over `best`, where falling short counts as 0; higher is better.

    Args:
        mean: expected accuracies.
        std: their standard deviations, at least 0.
        best: the highest accuracy so far.

    >>> expected_improvement([0.9, 0.9, 0.8], [0.0, 0.1, 0.1], 0.9).round(3).tolist()
    [0.0, 0.04, 0.008]
    """
    gain, deviation = np.asarray(mean, dtype=float) - best, np.asarray(std, dtype=float)
    safe = np.where(deviation > 0, deviation, 1.0)
    with np.errstate(over="ignore"):
        away = np.clip(gain / safe, -38.0, 38.0)  # beyond, the density is 0
    uncertain = gain * norm.cdf(away) + deviation * norm.pdf(away)
    improvement: _Values = np.where(deviation > 0, uncertain, np.maximum(gain, 0.0))
    return improvement


def upper_bound(mean: npt.ArrayLike, std: npt.ArrayLike, kappa: float = 2.0) -> _Values:
    """Upper confidence bound `mean + kappa · std`; higher is better.

    >>> upper_bound([0.9, 0.8], [0.0, 0.1]).tolist()
    [0.9, 1.0]
    """
    bound: _Values = np.asarray(mean, dtype=float) + kappa * np.asarray(std, dtype=float)
    return bound


_ACQUISITIONS: dict[str, Callable[[_Values, _Values, float], _Values]] = {
    "ei": expected_improvement,
    "mean": lambda mean, std, best: mean,
    "ucb": lambda mean, std, best: upper_bound(mean, std),
}


@dataclass
class Progress:
    """The measurements so far, in order.

    Attributes:
        surrogate: fitted on all measurements; None while there are too few.
        failures: why a measurement failed, by architecture.
        rows: (architecture, value, round, expected, std) of each measurement; see `frame`.
    """

    surrogate: Surrogate | None = None
    failures: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[str, float, int, float, float]] = field(default_factory=list)

    @property
    def frame(self) -> pd.DataFrame:
        """One row an architecture: its `value`, NaN where it failed, the `round`, and what the surrogate `expected`.

        `expected` and its `std` are NaN in the rounds that the scores chose.
        """
        columns = ["architecture", "value", "round", "expected", "std"]
        return pd.DataFrame(self.rows, columns=columns).set_index("architecture")

    @property
    def measured(self) -> pd.Series:
        """The value of each architecture, NaN where it failed, in the order they were measured."""
        return self.frame["value"].astype(float)

    @property
    def best(self) -> tuple[str, float]:
        """The architecture of the highest value, and that value; `InputError` when every measurement failed."""
        known = self.measured.dropna()
        if known.empty:
            raise InputError(f"none of {len(self.rows)} measurements succeeded; .failures says why")
        return str(known.idxmax()), float(known.max())


class Stopped(ZerocostError):
    """An error or Ctrl-C stopped `train_fit_choose`; `progress` holds the measurements until then."""

    def __init__(self, progress: Progress, cause: BaseException) -> None:
        reason = f"{type(cause).__name__}: {cause}".rstrip(": ")
        super().__init__(
            f"stopped by {reason}; {len(progress.rows)} architectures were measured. To go on, call it again with "
            "measured=stopped.progress.measured"
        )
        self.progress = progress


def train_fit_choose(
    X: pd.DataFrame,  # noqa: N803
    measure: _Measure,
    *,
    budget: int,
    space: SearchSpace | str | None = None,
    first: str | pd.Series | None = None,
    batch: int = 8,
    surrogate: Surrogate | None = None,
    acquisition: str = "ei",
    measured: pd.Series | None = None,
    seed: int = 0,
) -> Progress:
    """Measure `budget` of the candidates, in batches chosen by a surrogate fitted on those before.

    The first batch is the best by score, and so are the next ones until five measurements have succeeded. From then on,
    a surrogate is fitted after each batch with all candidates as its pool, and the next batch has the highest
    acquisition, ties broken by score. No candidate is measured twice.

    Args:
        X: the scores of all candidates, as `Features` takes them.
        measure: takes a list of architectures and returns or yields the accuracy of each, in order, NaN for one that
            failed. Yielded values are kept at once. If it raises `Failure`, the rest of the list has failed.
        budget: number of candidates to measure in all, including failed ones.
        space: the architectures' space, for the surrogate; not used when `surrogate` is given.
        first: the score that the first are chosen by, higher is better: a column of `X`, or a series with a value for
            each candidate; by default the log-rank sum of all columns.
        batch: number of candidates measured before the surrogate is fitted again.
        surrogate: the surrogate to use; `Surrogate(space, seed=seed)` by default.
        acquisition: "ei" (`expected_improvement`), "ucb" (`upper_bound`) or "mean".
        measured: values from before, by architecture, NaN for failed ones, such as `Progress.measured` of an earlier
            call. They count towards the budget.
        seed: seeds the surrogate.

    Returns:
        All measurements, in order, with the last surrogate.

    Raises:
        InputError: arguments that cannot be used.
        Stopped: `measure` raised anything but `Failure`, or Ctrl-C was pressed.

    >>> X = pd.DataFrame({"snip": np.arange(40.0)}, index=[f"net{i}" for i in range(40)])
    >>> progress = train_fit_choose(X, lambda names: [float(name[3:]) for name in names], budget=12, batch=6)
    >>> progress.best, len(progress.frame)
    (('net39', 39.0), 12)
    """
    _check_arguments(X, budget, batch, acquisition)
    order = _best_first(X, first)
    model = Surrogate(space, seed=seed) if surrogate is None else surrogate
    progress = Progress()
    for name, value in measured.items() if measured is not None else ():
        if name not in X.index:
            raise InputError(f"{name!r} was measured but is no candidate; give its scores too, or leave it out")
        _record_value(progress, str(name), value, 0)
    while len(progress.rows) < min(budget, len(X)):
        done = {row[0] for row in progress.rows}
        left = [name for name in order if name not in done]
        size = min(batch, budget - len(done), len(left))
        progress.surrogate = _fit_surrogate(model, X, progress)
        guesses = pd.DataFrame(math.nan, index=left, columns=["mean", "std"])
        if progress.surrogate is not None:
            mean, std = progress.surrogate.predict(X.loc[left], return_std=True)
            guesses = pd.DataFrame({"mean": mean, "std": std}, index=left)
            worth = _ACQUISITIONS[acquisition](mean, std, progress.best[1])
            left = [left[place] for place in np.argsort(-worth, kind="stable")]
        _measure_batch(measure, left[:size], progress, guesses)
    progress.surrogate = _fit_surrogate(model, X, progress)
    return progress


def _measure_batch(measure: _Measure, names: list[str], progress: Progress, guesses: pd.DataFrame) -> None:
    """Measure and record each; after a `Failure` the rest are recorded as failed."""
    number = max((row[2] for row in progress.rows), default=0) + 1
    waiting = list(names)
    try:
        for value in measure(list(names)):
            if not waiting:
                raise InputError(f"measure() returned more than the {len(names)} values requested")
            _record_value(progress, waiting.pop(0), value, number, guesses)
        if waiting:
            raise InputError(f"measure() returned {len(names) - len(waiting)} values for {len(names)} architectures")
    except Failure as failure:
        for name in waiting:
            _record_value(progress, name, math.nan, number, guesses, str(failure))
    except (Exception, KeyboardInterrupt) as error:
        raise Stopped(progress, error) from error


def _record_value(
    progress: Progress, name: str, value: Any, number: int, guesses: pd.DataFrame | None = None, reason: str = ""
) -> None:
    known = float(value)
    mean, std = (math.nan, math.nan) if guesses is None else (float(guesses["mean"][name]), float(guesses["std"][name]))
    if not math.isfinite(known):
        progress.failures[name] = reason or f"the measurement gave {known}"
        known = math.nan
    progress.rows.append((name, known, number, mean, std))


def _fit_surrogate(model: Surrogate, scores: pd.DataFrame, progress: Progress) -> Surrogate | None:
    """A copy fitted on all measurements; None while there are too few."""
    known = progress.measured.dropna()
    if len(known) < FEWEST_TARGETS:
        return None
    copy: Surrogate = clone(model)
    return copy.fit(scores.loc[known.index], known, pool=scores)


def _best_first(scores: pd.DataFrame, first: str | pd.Series | None) -> list[str]:
    """The candidates, best first; those without a value last."""
    if isinstance(first, str):
        if first not in scores:
            raise unknown("column", first, scores.columns, "scores.columns")
        first = scores[first]
    if first is None:
        if not scores.shape[1]:
            raise InputError(
                "the scores have no column to choose the first by; give first=, with a value for each candidate"
            )
        first = log_rank(scores)
    missing = scores.index.difference(first.index)
    if len(missing):
        raise InputError(f"first= has no value for {len(missing)} candidates, such as {missing[0]!r}")
    return [str(name) for name in first.loc[scores.index].sort_values(ascending=False, kind="stable").index]


def _check_arguments(scores: pd.DataFrame, budget: int, batch: int, acquisition: str) -> None:
    if acquisition not in _ACQUISITIONS:
        raise unknown("acquisition", acquisition, _ACQUISITIONS)
    if budget < 1 or batch < 1:
        raise InputError(f"budget and batch must be at least 1, but got budget={budget}, batch={batch}")
    if not len(scores):
        raise InputError("there is no candidate: the scores have no row")
    if not scores.index.is_unique:
        twice = scores.index[scores.index.duplicated()][0]
        raise InputError(f"candidate {twice!r} is there twice; drop one with X[~X.index.duplicated()]")
