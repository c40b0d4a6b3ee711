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
from zerocost.integrations.keras.library import import_keras
from zerocost.integrations.keras.proposals import build_model, draw_proposals, name_proposals
from zerocost.integrations.keras.targets import check_loss, draw_batch, embeds, target_reader
from zerocost.integrations.keras.trained import (
    ORACLE_SETTINGS,
    add_objective,
    enqueue,
    queue_oracle,
    select_best,
    trials_by_candidate,
)
from zerocost.scoring.rank import rank_batch
from zerocost.scoring.select import proxies_in
from zerocost.scoring.table import ScoreTable


class ZeroCostTuner:
    """Proposes hyperparameters at random, scores the untrained model of each, and trains the few of highest score.

    It is used like KerasTuner's own tuners. One of those, `tuner`, does the training, and its attributes can be used
    here too (`oracle`, `project_dir`, `search_space_summary()` and the rest). In a folder that holds an earlier search
    of the same settings, `search` goes on with it and trains nothing twice.

    Args:
        hypermodel: a function of hyperparameters that returns a compiled model, or a `keras_tuner.HyperModel`.
        proxies: names of proxies, several combined by their ranks, or a `Combination`.
        objective: by which trained models are compared, as in KerasTuner.
        max_trials: how many models to score.
        train_top: how many of them to train.
        where: conditions that a model must pass to be trained, such as "params < 1e6 and flops < 1e7".
        batch: what to score on: a number of samples, drawn from the data of `search`, or a batch. By default the number
            that the combination sets, or 64.
        loss: a torch function of outputs and targets, as in `zerocost.score`, which gets the targets of `search` as
            they are. The default is cross-entropy; then the targets count as labels if they are classes and the models
            are compiled with a crossentropy, else proxies that need labels fail.
        seed: of the proposals, the batch, the initial weights and the passes; None draws one.
        settings: further arguments of `keras_tuner.RandomSearch`, such as `directory`, `project_name`, `overwrite`,
            `hyperparameters` and `executions_per_trial`.

    Attributes:
        tuner: the `keras_tuner.Tuner` that trains.
        table: the `ScoreTable` of all models scored, after `search`.
        kept: that of the models to train; `kept.dropped` has the reason for each other one.
        candidates: the hyperparameters of each model, by its name in the table.

    Raises:
        InputError: numbers out of range, or a `loss` that is not a function.
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
        self.score_loss = check_loss(loss)
        tuners = import_keras_tuner()
        given = {name: settings.pop(name) for name in ORACLE_SETTINGS if name in settings}
        oracle = queue_oracle(tuners)(
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

        Args:
            x: inputs, or a dataset of batches.
            y: targets; None for a dataset of batches.
            fit: further arguments of `model.fit`.

        Raises:
            InputError: the data cannot be sampled, the folder holds another search, or no model is left to train.
            Failure: no model could be trained; `table` is kept.
        """
        self.candidates = name_proposals(self.proposals())
        trials_by_candidate(self.tuner, self.candidates)
        builders = {name: partial(self.build, values) for name, values in self.candidates.items()}
        batch = self.batch
        if isinstance(batch, int):
            read = target_reader(self.score_loss, builders.values())
            batch = draw_batch(x, y, batch, self.seed, read, ids=embeds(builders.values()))
        self.table = rank_batch(
            builders, batch, self.combination, also=proxies_in(self.where), loss=self.score_loss, seed=self.seed
        )
        self.kept = select_best(self.table, self.where, self.train_top)
        enqueue(self.tuner, self.candidates, self.kept)
        with ignore_version_warnings():
            self.tuner.search(x, **({} if y is None else {"y": y}), **fit)
        ended = list(self.tuner.oracle.trials.values())
        if all(trial.score is None for trial in ended):
            reason = (ended[-1].message or "it gave no objective").strip().splitlines()[-1]
            raise Failure(
                f"none of the {len(ended)} models of best score could be trained; the last one: {reason}; to train "
                "them again, use overwrite=True or another project_name"
            )

    def proposals(self) -> list[dict[str, Any]]:
        """The hyperparameter values of `max_trials` different models, or of all if there are fewer."""
        return draw_proposals(self.tuner, self.max_trials, self.seed)

    def build(self, values: dict[str, Any]) -> Any:
        """The untrained model with some hyperparameter values."""
        return build_model(self.tuner, values)

    @property
    def results(self) -> pd.DataFrame:
        """One row a model scored, best score first: its scores, and the objective where it was trained."""
        if self.table is None:
            raise InputError("nothing was searched yet; call search()")
        return add_objective(self.table, self.candidates, self.tuner)

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the models of highest score, with the objective of those that were trained."""
        sys.stdout.write(f"{self.results.head(num_trials).to_string()}\n")

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """The trained models, best objective first."""
        with ignore_version_warnings():
            models: list[Any] = self.tuner.get_best_models(num_models)
        return models


@contextmanager
def ignore_version_warnings() -> Iterator[None]:
    """Ignore warnings that KerasTuner 1.4.8, AutoKeras 3.0.0 and Keras 3.12 cause each other.

    They are about how a thread's name and a tensor's array are read, about an optimizer without the variables of loaded
    weights, and about a single input that is not in a list.
    """
    with warnings.catch_warnings():
        for message in (
            r"(currentThread|getName)\(\) is deprecated",
            "__array__ impl",
            "Skipping variable loading",
            "The structure of `inputs` doesn't match",
        ):
            warnings.filterwarnings("ignore", message)
        yield


def import_keras_tuner() -> Any:
    """The package keras_tuner; `MissingExtraError` without it."""
    import_keras()
    try:
        return import_module("keras_tuner")
    except ImportError as error:
        raise MissingExtraError(f"KerasTuner needs the extra keras: pip install 'zerocost[keras]' ({error})") from error
