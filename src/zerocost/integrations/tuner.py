"""A KerasTuner search that scores every model before training and trains only the best."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import torch

from zerocost import combine
from zerocost.combine import Combination
from zerocost.data import Batch
from zerocost.errors import Failure, InputError, MissingExtraError
from zerocost.integrations.keras.library import library
from zerocost.proxies.registry import Proxy
from zerocost.scoring import rank_batch
from zerocost.select import proxies_in, select
from zerocost.tables import ScoreTable

COLLISIONS = 100
"""Proposals in a row that may bring nothing new."""


class ZeroCostTuner:
    """Proposes hyperparameters at random, scores the untrained model of each, and trains the few of highest score.

    It is used as KerasTuner's own tuners are; one of those, `tuner`, does the training.

    Args:
        hypermodel: a function of hyperparameters that returns a compiled model, or a `keras_tuner.HyperModel`.
        proxies: names of proxies, several combined by their ranks, or a `Combination`.
        objective: what the trained models are compared by, as in KerasTuner.
        max_trials: how many models to score.
        train_top: how many of them to train.
        where: conditions that a model must pass to be trained, such as "params < 1e6 and flops < 1e7".
        batch: what to score on: a number of samples, drawn from the data of `search`, or a batch; without it, as many
            samples as the combination asks for, or 64.
        seed: of the proposals, the batch, the initial weights and the passes.
        settings: further arguments of `keras_tuner.Tuner`, such as `directory`, `project_name` and `overwrite`.

    Attributes:
        tuner: the `keras_tuner.Tuner` that trains.
        table: the `ScoreTable` of all models scored, after `search`.
        kept: that of the ones to train; `kept.dropped` says of each other one why it was not.
        candidates: their hyperparameters, by the names they have in the table.

    Raises:
        InputError: numbers that mean nothing.
        MissingExtraError: Keras or KerasTuner is not installed.
    """

    def __init__(
        self,
        hypermodel: Any,
        proxies: Combination | Iterable[str | Proxy] | str = combine.default,
        *,
        objective: Any = "val_accuracy",
        max_trials: int = 20,
        train_top: int = 3,
        where: str | None = None,
        batch: int | Any = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        if not 1 <= train_top <= max_trials:
            raise InputError(f"train_top must be from 1 to max_trials={max_trials}, got {train_top}")
        self.queue: list[dict[str, Any]] = []
        self.combination, self.max_trials, self.train_top = combine.of(proxies), max_trials, train_top
        self.where = self.combination.conditions(where)
        self.batch, self.seed = self.combination.batch or 64 if batch is None else batch, seed
        tuners = keras_tuner()
        oracle = queued(tuners, self.queue)(
            objective=objective, max_trials=train_top, seed=seed, max_consecutive_failed_trials=train_top + 1
        )
        self.tuner = tuners.Tuner(oracle=oracle, hypermodel=hypermodel, **settings)
        self.candidates: dict[str, dict[str, Any]] = {}
        self.table: ScoreTable | None = None
        self.kept: ScoreTable | None = None

    def search(self, x: Any, y: Any = None, **fit: Any) -> None:
        """Score `max_trials` models, then train the best as `model.fit(x, y, **fit)` does.

        `x` may also be a dataset of batches, without `y`. Raises `InputError` when the data cannot be sampled or no
        model is left to train, and `Failure` when none could be trained; `table` is kept.
        """
        batch = sample(x, y, self.batch, self.seed) if isinstance(self.batch, int) else self.batch
        self.candidates = labelled(self.proposals())
        builders = {name: partial(self.build, values) for name, values in self.candidates.items()}
        self.table = rank_batch(builders, batch, self.combination, also=proxies_in(self.where), seed=self.seed)
        self.kept = survivors(self.table, self.where, self.train_top)
        self.queue[:] = [self.candidates[str(name)] for name in self.kept.frame.index]
        with old_ways():
            self.tuner.search(x, **({} if y is None else {"y": y}), **fit)
        trials = list(self.tuner.oracle.trials.values())
        if all(trial.score is None for trial in trials):
            reason = (trials[-1].message or "it gave no objective").strip().splitlines()[-1]
            raise Failure(f"none of the {len(trials)} models of best score could be trained; the last one: {reason}")

    def proposals(self) -> list[dict[str, Any]]:
        """Different hyperparameter values, `max_trials` of them, or all there are."""
        return proposals(self.tuner.oracle, self.max_trials)

    def build(self, values: dict[str, Any]) -> Any:
        """The untrained model of some hyperparameter values."""
        return self.tuner.hypermodel.build(spaced(self.tuner.oracle, values))

    @property
    def results(self) -> pd.DataFrame:
        """One row a model scored, best score first: its scores, and the objective where it was trained."""
        if self.table is None:
            raise InputError("nothing was searched yet; call search()")
        return beside(self.table, self.candidates, self.tuner.oracle)

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best scores, and what was trained of them."""
        sys.stdout.write(f"{self.results.head(num_trials).to_string()}\n")

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """The trained models, best objective first."""
        with old_ways():
            models: list[Any] = self.tuner.get_best_models(num_models)
        return models

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[Any]:
        """Hyperparameters of the trained models, best objective first."""
        found: list[Any] = self.tuner.get_best_hyperparameters(num_trials)
        return found


def proposals(
    oracle: Any, count: int, whole: Callable[[dict[str, Any]], dict[str, Any]] = lambda values: values
) -> list[dict[str, Any]]:
    """Different hyperparameter values drawn at random by a KerasTuner oracle: so many, or all there are.

    `whole` returns the values with those that only building the model brings to light.
    """
    found: dict[str, dict[str, Any]] = {}
    idle = 0
    while len(found) < count and idle < COLLISIONS:
        drawn = oracle._random_values()
        if drawn is None:
            break
        values = whole(drawn)
        idle = idle + 1 if named(values) in found else 0
        found.setdefault(named(values), values)
    return list(found.values())


def spaced(oracle: Any, values: dict[str, Any]) -> Any:
    """The space that an oracle knows, at some values."""
    space = oracle.get_space()
    space.values = dict(values)
    space.ensure_active_values()
    return space


def survivors(table: ScoreTable, where: str | None, count: int) -> ScoreTable:
    """The models of highest score that pass the conditions; `InputError` when none does."""
    kept = select(table, where, top=count)
    if not len(kept):
        raise InputError(f"no model is left to train; the best one: {next(iter(kept.dropped.values()))}")
    return kept


def beside(table: ScoreTable, candidates: dict[str, dict[str, Any]], oracle: Any) -> pd.DataFrame:
    """The scores of all models, and the oracle's objective of those that were trained."""
    trained = {named(trial.hyperparameters.values): trial.score for trial in oracle.trials.values()}
    objective = [trained.get(named(candidates[name]), np.nan) for name in table.frame.index]
    return table.frame.assign(**{oracle.objective.name: objective})


def labelled(proposals: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Proposals by names made of the values that are not the same in all of them.

    >>> list(labelled([{"block/width": 8, "block/act": "relu"}, {"block/width": 16, "block/act": "relu"}]))
    ['width=8', 'width=16']
    """
    keys = {key for values in proposals for key in values}
    telling = [key for key in keys if len({values.get(key) for values in proposals}) > 1] or keys
    short = {key: shortest(key, keys) for key in telling}
    return {named({short[key]: values[key] for key in telling if key in values}): values for values in proposals}


def shortest(path: str, paths: Iterable[str]) -> str:
    """The end of a path, of as few parts as tell it from the other paths.

    >>> [shortest(path, ["block_1/width", "block_2/width", "rate"]) for path in ("block_1/width", "rate")]
    ['block_1/width', 'rate']
    """
    parts = path.split("/")
    ends = ["/".join(parts[place:]) for place in reversed(range(len(parts)))]
    return next((end for end in ends if sum(f"/{other}".endswith(f"/{end}") for other in paths) == 1), path)


def named(values: dict[str, Any]) -> str:
    """A name made of hyperparameter values.

    >>> named({"width": 8, "act": "relu"})
    'act=relu, width=8'
    """
    return ", ".join(f"{name}={values[name]}" for name in sorted(values))


def sample(x: Any, y: Any, size: int, seed: int) -> Batch:
    """A batch drawn from arrays of inputs and of labels: classes, or one column a class. Other targets are left out.

    Where `y` is None, `x` gives batches of both, and the first samples are taken.

    >>> sample(np.zeros((9, 4)), np.eye(9), 4, seed=0).targets.shape
    torch.Size([4])
    >>> sample([(np.zeros((3, 4)), np.arange(3))] * 2, None, 5, seed=0).inputs.shape
    torch.Size([5, 4])
    """
    if y is None and not hasattr(x, "shape"):
        x, y = gathered(x, size)
    if y is None or not hasattr(x, "shape"):
        raise InputError(
            f"a batch is drawn from arrays x and y or from batches of both, got {type(x).__name__} and "
            f"{type(y).__name__}; give batch=(inputs, labels) for other data"
        )
    picked = np.random.default_rng(seed).permutation(len(x))[:size]
    inputs, labels = np.asarray(x)[picked], np.asarray(y)[picked]
    labels = labels.argmax(1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.reshape(len(picked))
    classes = labels.astype(np.int64)
    whole = np.array_equal(classes, labels)
    return Batch(torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(classes) if whole else None)


def gathered(batches: Any, size: int) -> tuple[Any, Any]:
    """Inputs and labels of the first samples of a `tf.data.Dataset`, a DataLoader, a `PyDataset` or the like."""
    indexed = not hasattr(batches, "__iter__") and hasattr(batches, "__len__")
    parts: list[tuple[Any, Any]] = []
    try:
        for part in (batches[place] for place in range(len(batches))) if indexed else batches:
            inputs, labels = part[:2]
            parts.append((np.asarray(inputs), np.asarray(labels)))
            if sum(len(labels) for _, labels in parts) >= size:
                break
        inputs, labels = (np.concatenate(found) for found in zip(*parts, strict=True))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{type(batches).__name__} does not give batches of (inputs, labels), each an array: {error}; "
            "give batch=(inputs, labels)"
        ) from error
    return inputs[:size], labels[:size]


def queued(tuners: Any, queue: list[dict[str, Any]]) -> Callable[..., Any]:
    """A class of KerasTuner oracles that propose what is in the queue, then stop."""

    class Queued(tuners.Oracle):  # type: ignore[misc]
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            if not queue:
                return {"status": "STOPPED", "values": None}
            return {"status": "RUNNING", "values": queue.pop(0)}

    return Queued


@contextmanager
def old_ways() -> Iterator[None]:
    """No warnings of what KerasTuner 1.4.8, AutoKeras 3.0.0 and Keras 3.12 do among themselves: how they ask for a
    thread's name and a tensor's array, that a model's optimizer is new where its weights are loaded, and that one input
    is given as it is, not in a list."""
    with warnings.catch_warnings():
        for message in (
            r"(currentThread|getName)\(\) is deprecated",
            "__array__ impl",
            "Skipping variable loading",
            "The structure of `inputs` doesn't match",
        ):
            warnings.filterwarnings("ignore", message)
        yield


def keras_tuner() -> Any:
    """The package keras_tuner; `MissingExtraError` without it."""
    library()
    try:
        return import_module("keras_tuner")
    except ImportError as error:
        raise MissingExtraError(f"KerasTuner needs the extra keras: pip install 'zerocost[keras]' ({error})") from error
