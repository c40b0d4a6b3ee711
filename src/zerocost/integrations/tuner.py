"""A KerasTuner search that scores every model before training and trains only the best."""

from __future__ import annotations

import itertools
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zerocost import combine
from zerocost.combine import Combination
from zerocost.data import Batch
from zerocost.engine.passes.batch import Loss, cross_entropy
from zerocost.errors import Failure, InputError, MissingExtraError
from zerocost.integrations.keras.library import library
from zerocost.proxies.registry import Proxy
from zerocost.scoring import rank_batch
from zerocost.seeding import Builder, initialise
from zerocost.select import proxies_in, select
from zerocost.tables import ScoreTable

COLLISIONS = 100
"""Proposals in a row that may bring nothing new."""
OF_ORACLE = (
    "hyperparameters",
    "tune_new_entries",
    "allow_new_entries",
    "max_retries_per_trial",
    "max_consecutive_failed_trials",
)
"""The settings of KerasTuner's tuners that are their oracle's."""
NUMBERS = "biuf"
"""The kinds of numpy's types that torch has too."""


class ZeroCostTuner:
    """Proposes hyperparameters at random, scores the untrained model of each, and trains the few of highest score.

    It is used as KerasTuner's own tuners are; one of those, `tuner`, does the training, and what it has is had here too
    (`oracle`, `project_dir`, `search_space_summary()` and the rest). In a folder that holds an earlier search of the
    same settings, `search` goes on with it: what was trained there is not trained again.

    Args:
        hypermodel: a function of hyperparameters that returns a compiled model, or a `keras_tuner.HyperModel`.
        proxies: names of proxies, several combined by their ranks, or a `Combination`.
        objective: what the trained models are compared by, as in KerasTuner.
        max_trials: how many models to score.
        train_top: how many of them to train.
        where: conditions that a model must pass to be trained, such as "params < 1e6 and flops < 1e7".
        batch: what to score on: a number of samples, drawn from the data of `search`, or a batch; without it, as many
            samples as the combination asks for, or 64.
        loss: a torch function of outputs and targets, as in `zerocost.score`, which gets the targets of `search` as
            they are. Without it the loss is cross-entropy, and the targets count as labels where they are classes and
            the models are compiled with a crossentropy; else proxies that need labels fail.
        seed: of the proposals, the batch, the initial weights and the passes; `None` draws one.
        settings: further arguments of `keras_tuner.RandomSearch`, such as `directory`, `project_name`, `overwrite`,
            `hyperparameters` and `executions_per_trial`.

    Attributes:
        tuner: the `keras_tuner.Tuner` that trains.
        table: the `ScoreTable` of all models scored, after `search`.
        kept: that of the ones to train; `kept.dropped` says of each other one why it was not.
        candidates: the hyperparameters that each model was built with, by the names they have in the table.

    Raises:
        InputError: numbers that mean nothing, or a `loss` that is no function.
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
        loss: Loss = cross_entropy,
        seed: int | None = 0,
        **settings: Any,
    ) -> None:
        if not 1 <= train_top <= max_trials:
            raise InputError(f"train_top must be from 1 to max_trials={max_trials}, got {train_top}")
        self.combination, self.max_trials, self.train_top = combine.of(proxies), max_trials, train_top
        self.where = self.combination.conditions(where)
        self.batch = self.combination.batch or 64 if batch is None else batch
        self.score_loss = usable(loss)
        tuners = keras_tuner()
        given = {name: settings.pop(name) for name in OF_ORACLE if name in settings}
        oracle = queued(tuners)(
            objective=objective,
            max_trials=train_top,
            seed=seed,
            **{"max_consecutive_failed_trials": train_top + 1, **given},
        )
        self.tuner = tuners.Tuner(oracle=oracle, hypermodel=hypermodel, **settings)
        self.seed: int = oracle.seed if seed is None else seed
        self.candidates: dict[str, dict[str, Any]] = {}
        self.table: ScoreTable | None = None
        self.kept: ScoreTable | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "tuner":
            raise AttributeError(name)
        return getattr(self.tuner, name)

    def search(self, x: Any, y: Any = None, **fit: Any) -> None:
        """Score `max_trials` models, then train the best as `model.fit(x, y, **fit)` does.

        `x` may also be a dataset of batches, without `y`. Raises `InputError` when the data cannot be sampled, the
        folder holds another search or no model is left to train, and `Failure` when none could be trained; `table` is
        kept.
        """
        self.candidates = labelled(self.proposals())
        trials(self.tuner, self.candidates)
        builders = {name: partial(self.build, values) for name, values in self.candidates.items()}
        batch = self.batch
        if isinstance(batch, int):
            batch = sample(x, y, batch, self.seed, reader(self.score_loss, builders.values()))
        self.table = rank_batch(
            builders, batch, self.combination, also=proxies_in(self.where), loss=self.score_loss, seed=self.seed
        )
        self.kept = survivors(self.table, self.where, self.train_top)
        enqueue(self.tuner, self.candidates, self.kept)
        with old_ways():
            self.tuner.search(x, **({} if y is None else {"y": y}), **fit)
        ended = list(self.tuner.oracle.trials.values())
        if all(trial.score is None for trial in ended):
            reason = (ended[-1].message or "it gave no objective").strip().splitlines()[-1]
            raise Failure(
                f"none of the {len(ended)} models of best score could be trained; the last one: {reason}; to train "
                "them again, use overwrite=True or another project_name"
            )

    def proposals(self) -> list[dict[str, Any]]:
        """The hyperparameter values of `max_trials` different models, or of all there are."""
        return proposals(self.tuner, self.max_trials, self.seed)

    def build(self, values: dict[str, Any]) -> Any:
        """The untrained model of some hyperparameter values."""
        return built(self.tuner, values)

    @property
    def results(self) -> pd.DataFrame:
        """One row a model scored, best score first: its scores, and the objective where it was trained."""
        if self.table is None:
            raise InputError("nothing was searched yet; call search()")
        return beside(self.table, self.candidates, self.tuner)

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best scores, and what was trained of them."""
        sys.stdout.write(f"{self.results.head(num_trials).to_string()}\n")

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """The trained models, best objective first."""
        with old_ways():
            models: list[Any] = self.tuner.get_best_models(num_models)
        return models


def proposals(tuner: Any, count: int, seed: int) -> list[dict[str, Any]]:
    """The values that different models are built with, drawn at random: so many, or all there are.

    A draw depends on the seed, its place and the names alone, not on what the tuner knew of the space before.
    """
    found: list[dict[str, Any]] = []
    idle = 0
    for key in (f"{seed} {place}" for place in itertools.count()):
        if len(found) == count or idle == COLLISIONS:
            break
        values = drawn(tuner.oracle, key).values
        if not any(known.items() <= values.items() for known in found):
            values = asked(tuner, key)
            if values not in found:
                found.append(values)
                idle = 0
                continue
        idle += 1
    return found


def asked(tuner: Any, key: str) -> dict[str, Any]:
    """The values drawn at random of the hyperparameters that building the model asks for.

    Those that only the building brings to light are made known to the tuner's oracle and drawn too, as often as that
    brings more to light. What a build does not ask for makes no other model of it and is left out.
    """
    while True:
        space = drawn(tuner.oracle, key)
        size = len(space.space)
        seen = space.values = Asked(space.values)
        with suppress(Failure, InputError):
            initialise(partial(untrained, tuner, space))
        tuner.oracle.update_space(space)
        if len(tuner.oracle.get_space().space) == size:
            return {name: seen[name] for name in sorted(seen.names)}


class Asked(dict[str, Any]):
    """Values that remember which of them were asked for.

    >>> values = Asked(width=8, depth=2)
    >>> values["width"], values.names
    (8, {'width'})
    """

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        self.names.add(name)
        return value


def built(tuner: Any, values: dict[str, Any]) -> Any:
    """A tuner's untrained model of some values."""
    return untrained(tuner, drawn(tuner.oracle, named(values), values))


def untrained(tuner: Any, space: Any) -> Any:
    """A tuner's model at a point of its space, as in a fresh session, so that AutoKeras's blocks keep their names.

    Raises `Failure` for a model of more trainable parameters than the tuner's `max_model_size`.
    """
    library().utils.clear_session(free_memory=False)
    model, most = tuner._build_hypermodel(space), tuner.max_model_size
    size = sum(math.prod(weight.shape) for weight in model.trainable_weights) if most and model.built else 0
    if most and size > most:
        raise Failure(f"{size} trainable parameters are more than max_model_size={most}")
    return model


def drawn(oracle: Any, key: str, values: dict[str, Any] | None = None) -> Any:
    """The space that an oracle knows, at some values; every other active one is drawn at random, by key and name."""
    space = oracle.get_space()
    space.values = dict(values or {})
    for one in space.space:
        if space.is_active(one) and one.name not in space.values:
            space.values[one.name] = one.random_sample(f"{key} {one.name}")
    return space


def trials(tuner: Any, candidates: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The trials of a tuner, by the name of the candidate that each trains.

    Raises `InputError` for one that trains none of them, so is of another search in the same folder.
    """
    names = {named(values): name for name, values in candidates.items()}
    found: dict[str, Any] = {}
    for place, trial in tuner.oracle.trials.items():
        values = named(tuner.oracle.begun.get(place, trial.hyperparameters.values))
        if values not in names:
            raise InputError(
                f"{tuner.project_dir} holds another search, which trained {values}; use overwrite=True to replace it, "
                "another project_name, or the settings and the seed it had"
            )
        found[names[values]] = trial
    return found


def enqueue(tuner: Any, candidates: dict[str, dict[str, Any]], kept: ScoreTable) -> None:
    """Let a tuner train the candidates that were kept, and that it has not trained yet."""
    begun = trials(tuner, candidates)
    tuner.oracle.queue[:] = [candidates[str(name)] for name in kept.frame.index if name not in begun]
    tuner.oracle.max_trials = len(begun) + len(tuner.oracle.queue)


def survivors(table: ScoreTable, where: str | None, count: int) -> ScoreTable:
    """The models of highest score that pass the conditions; `InputError` when none does."""
    kept = select(table, where, top=count)
    if not len(kept):
        raise InputError(f"no model is left to train; the best one: {kept.dropped[table.frame.index[0]]}")
    return kept


def beside(table: ScoreTable, candidates: dict[str, dict[str, Any]], tuner: Any) -> pd.DataFrame:
    """The scores of all models, and the objective of those that were trained."""
    scores = {name: trial.score for name, trial in trials(tuner, candidates).items() if trial.score is not None}
    objective = [scores.get(name, np.nan) for name in table.frame.index]
    return table.frame.assign(**{tuner.oracle.objective.name: objective})


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


def sample(x: Any, y: Any, size: int, seed: int, read: Callable[[np.ndarray], Tensor | None]) -> Batch:
    """A batch drawn from arrays of inputs and of targets, the targets as `read` has them.

    Where `y` is None, `x` gives batches of both, and the first samples are taken.

    >>> sample(np.zeros((9, 4)), np.arange(9), 4, 0, as_given).targets.shape
    torch.Size([4])
    >>> sample([(np.zeros((3, 4)), np.arange(3))] * 2, None, 5, 0, as_given).inputs.shape
    torch.Size([5, 4])
    """
    if y is None and not hasattr(x, "shape"):
        x, y = gathered(x, size)
    if y is None or not hasattr(x, "shape"):
        raise InputError(
            f"a batch is drawn from arrays x and y or from batches of both, got {type(x).__name__} and "
            f"{type(y).__name__}; give batch=(inputs, labels) for other data"
        )
    try:
        x, y = np.asarray(x), np.asarray(y)
    except ValueError as error:
        raise InputError(f"x and y must be arrays: {error}; give batch=(inputs, labels) for other data") from error
    if x.dtype.kind not in NUMBERS or x.shape[:1] != y.shape[:1]:
        raise InputError(
            f"x must be an array of numbers and y one of as many samples, got {x.dtype} {x.shape} and {y.dtype} "
            f"{y.shape}; give batch=(inputs, labels) for other data"
        )
    picked = np.random.default_rng(seed).permutation(len(x))[:size]
    return Batch(torch.from_numpy(x[picked].astype(np.float32)), read(y[picked]))


def reader(loss: Loss, builders: Iterable[Builder]) -> Callable[[np.ndarray], Tensor | None]:
    """How targets are read: as they are for a loss of one's own, else by the loss that the models are compiled with."""
    if loss is not cross_entropy:
        return as_given
    for build in builders:
        with suppress(Failure, InputError):
            return partial(classes, loss=spoken(getattr(initialise(build), "loss", None)))
    return partial(classes, loss="")


def as_given(targets: np.ndarray) -> Tensor:
    """Targets as they are, double precision aside.

    >>> as_given(np.array([[0.5], [1.5]])).dtype
    torch.float32
    """
    if targets.dtype.kind not in NUMBERS:
        raise InputError(f"a loss of your own takes targets that are numbers, got {targets.dtype}")
    return torch.from_numpy(targets.astype(np.float32) if targets.dtype == np.float64 else targets)


def classes(targets: np.ndarray, loss: str) -> Tensor | None:
    """Labels out of whole numbers, a number or a column a sample, or out of one-hot rows; None where targets are else.

    `loss` is what the model is compiled with, in words: only a crossentropy has classes, and a binary one of several
    columns has several labels a sample.

    >>> classes(np.array([[2.0], [0.0]]), "sparse_categorical_crossentropy"), classes(np.array([2, 0]), "mse")
    (tensor([2, 0]), None)
    >>> [classes(np.eye(3), f"{kind}_crossentropy") for kind in ("categorical", "binary")]
    [tensor([0, 1, 2]), None]
    """
    if "crossentropy" not in loss or targets.dtype.kind not in NUMBERS or targets.ndim > 2:
        return None
    rows = targets.reshape(len(targets), -1).astype(float)
    if rows.shape[1] > 1:
        exact = np.isin(rows, (0, 1)).all() and (rows.sum(1) == 1).all() and "binary" not in loss
        return torch.from_numpy(rows.argmax(1)) if exact else None
    whole = np.isfinite(rows).all() and (rows == rows.round()).all() and rows.size > 0
    return torch.from_numpy(rows[:, 0].astype(np.int64)) if whole else None


def spoken(loss: Any) -> str:
    """What a compiled loss is called: a name, a function or an object, alone or as the only one of several.

    >>> spoken("BinaryCrossentropy"), spoken({"head": "mse"}), spoken(["mse", "mae"])
    ('binarycrossentropy', 'mse', '')
    """
    if isinstance(loss, dict | list | tuple):
        inner = list(loss.values()) if isinstance(loss, dict) else loss
        return spoken(inner[0]) if len(inner) == 1 else ""
    if isinstance(loss, str):
        return loss.lower()
    return " ".join(str(getattr(loss, word, "")) for word in ("name", "__name__", "__class__")).lower()


def usable(loss: Any) -> Loss:
    """The loss to score with; `InputError` where it is no torch function, such as one of Keras to compile with."""
    if not callable(loss) or isinstance(loss, library().losses.Loss):
        raise InputError(
            f"loss must be a torch function of outputs and targets to score with, got {loss!r}; the loss to train with "
            "is what the model is compiled with"
        )
    return loss  # type: ignore[no-any-return]


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


def queued(tuners: Any) -> Callable[..., Any]:
    """A class of KerasTuner oracles that propose what is in their queue, then stop.

    `begun` has the values that each trial was proposed by, and is saved and reloaded with the rest.
    """

    class Queued(tuners.Oracle):  # type: ignore[misc]
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.queue: list[dict[str, Any]] = []
            self.begun: dict[str, dict[str, Any]] = {}

        def populate_space(self, trial_id: str) -> dict[str, Any]:
            if not self.queue:
                return {"status": "STOPPED", "values": None}
            values = self.begun[trial_id] = self.queue.pop(0)
            return {"status": "RUNNING", "values": drawn(self, named(values), values).values}

        def get_state(self) -> dict[str, Any]:
            return {**super().get_state(), "begun": self.begun}

        def set_state(self, state: dict[str, Any]) -> None:
            super().set_state(state)
            self.begun = state.get("begun", {})

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
