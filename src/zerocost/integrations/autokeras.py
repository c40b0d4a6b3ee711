"""An AutoKeras search whose candidates are scored before training, so that only the best are trained."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from zerocost import combine
from zerocost.base.errors import InputError, MissingExtraError
from zerocost.combine import Combination
from zerocost.engine.losses import Loss, cross_entropy
from zerocost.engine.proxy import Proxy
from zerocost.integrations.keras.proposals import built, labelled, proposals
from zerocost.integrations.keras.targets import reader, sample, usable
from zerocost.integrations.keras.trained import OF_ORACLE, beside, enqueue, queued, survivors, trials
from zerocost.integrations.kerastuner import keras_tuner, old_ways
from zerocost.scoring.rank import rank_batch
from zerocost.scoring.select import proxies_in
from zerocost.scoring.table import ScoreTable


def filtered(
    proxies: Combination | Iterable[str | Proxy] | str = combine.default,
    *,
    candidates: int = 20,
    where: str | None = None,
    batch: int | Any = None,
    loss: Loss = cross_entropy,
) -> Any:
    """A class to give to AutoKeras as `tuner=`: it trains the best by score of so many random candidates.

    How many are trained is AutoKeras's own `max_trials`. After `fit`, the tuner's `table` is the `ScoreTable` of all
    candidates, `kept` that of the ones to train, and `results` has the objective of the trained ones beside the scores.

    Args:
        proxies: names of proxies, several combined by their ranks, or a `Combination`.
        candidates: how many models to score.
        where: conditions that a model must pass to be trained, such as "params < 1e6 and flops < 1e7".
        batch: what to score on: a number of samples, drawn from the data of `fit`, or a batch; without it, as many
            samples as the combination asks for, or 64.
        loss: a torch function of outputs and targets, as in `zerocost.score`, which gets the targets as AutoKeras
            encodes them. Without it the loss is cross-entropy, and proxies that need labels fail where the head is not
            one of classes.

    The seed is AutoKeras's own; without one, other candidates are drawn in each folder. In a folder that holds an
    earlier search of the same settings, `fit` goes on with it.

    Raises `InputError` for numbers that mean nothing, and `MissingExtraError` where AutoKeras is not installed.

    >>> autokeras.ImageClassifier(tuner=filtered("jacob_cov"), max_trials=3)  # doctest: +SKIP
    """
    if candidates < 1:
        raise InputError(f"candidates must be at least 1, got {candidates}")
    tuners, combination, loss = keras_tuner(), combine.as_combination(proxies), usable(loss)
    conditions = combination.conditions(where)
    also, batch = proxies_in(conditions), combination.batch or 64 if batch is None else batch

    class Filtered(auto_tuner()):  # type: ignore[misc]
        table: ScoreTable | None = None
        kept: ScoreTable | None = None

        def __init__(
            self,
            hypermodel: Any,
            objective: Any = "val_loss",
            max_trials: int = 3,
            seed: int | None = None,
            **settings: Any,
        ) -> None:
            if max_trials > candidates:
                raise InputError(f"max_trials must be at most candidates={candidates}, got {max_trials}")
            of_oracle = {name: settings.pop(name) for name in OF_ORACLE if name in settings}
            oracle = queued(tuners)(objective=objective, max_trials=max_trials, seed=seed, **of_oracle)
            super().__init__(oracle, hypermodel, **settings)
            self.seed, self.train_top = oracle.seed if seed is None else seed, max_trials
            self.limit = settings.get("max_model_size")

        def search(self, *args: Any, **fit: Any) -> Any:
            self.data = {"x": fit["x"], "y": fit["y"]}
            self.max_model_size = None  # it is for the candidates, not for the model of the default values
            try:
                with old_ways():
                    return super().search(*args, **fit)
            finally:
                self.max_model_size = self.limit

        def on_search_begin(self) -> None:
            """Score the candidates, which is when AutoKeras knows the shapes of the data and nothing is trained yet."""
            super().on_search_begin()
            self.max_model_size = self.limit
            _, (x, y), _ = self._prepare_model_build(self.oracle.get_space(), **self.data)
            self.candidates = labelled(proposals(self, candidates, self.seed))
            trials(self, self.candidates)
            given = batch
            if isinstance(given, int):
                plain = [partial(built, self, values) for values in self.candidates.values()]
                given = sample(x, y, given, self.seed, reader(loss, plain))
            builders = {name: partial(self.untrained, values, given[0]) for name, values in self.candidates.items()}
            self.table = rank_batch(builders, given, combination, also=also, loss=loss, seed=self.seed)
            self.kept = survivors(self.table, conditions, self.train_top)
            enqueue(self, self.candidates, self.kept)

        def untrained(self, values: dict[str, Any], inputs: Any) -> Any:
            """The untrained model of some values, its normalisation set to the inputs."""
            return self.adapt(built(self, values), np.asarray(inputs))

        def get_best_models(self, num_models: int = 1) -> Any:
            with old_ways():
                return super().get_best_models(num_models)

        @property
        def results(self) -> pd.DataFrame:
            """One row a candidate, best score first: its scores, and the objective where it was trained."""
            if self.table is None:
                raise InputError("nothing was searched yet; call fit()")
            return beside(self.table, self.candidates, self)

    return Filtered


def auto_tuner() -> Any:
    """AutoKeras's class of tuners; `MissingExtraError` without AutoKeras."""
    try:
        return import_module("autokeras.engine.tuner").AutoTuner
    except ImportError as error:
        raise MissingExtraError(f"AutoKeras needs the extra keras: pip install 'zerocost[keras]' ({error})") from error
