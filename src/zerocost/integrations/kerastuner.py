"""A KerasTuner search that scores every model before training and trains only the best."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import pandas as pd

from zerocost import combine
from zerocost.base.errors import Failure, InputError, MissingExtraError
from zerocost.combine import Combination
from zerocost.engine.losses import Loss, cross_entropy
from zerocost.engine.proxy import Proxy
from zerocost.integrations.keras.library import library
from zerocost.integrations.keras.proposals import built, labelled, proposals
from zerocost.integrations.keras.targets import reader, sample, usable
from zerocost.integrations.keras.trained import OF_ORACLE, beside, enqueue, queued, survivors, trials
from zerocost.scoring.rank import rank_batch
from zerocost.scoring.select import proxies_in
from zerocost.scoring.table import ScoreTable


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
        self.combination, self.max_trials, self.train_top = combine.as_combination(proxies), max_trials, train_top
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
