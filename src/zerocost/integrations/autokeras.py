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
from zerocost.integrations.keras.proposals import build_model, draw_proposals, name_proposals
from zerocost.integrations.keras.targets import check_loss, draw_batch, target_reader
from zerocost.integrations.keras.trained import (
    ORACLE_SETTINGS,
    add_objective,
    enqueue,
    queue_oracle,
    select_best,
    trials_by_candidate,
)
from zerocost.integrations.kerastuner import ignore_version_warnings, import_keras_tuner
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
    """A class to give to AutoKeras as `tuner=`: it scores random candidates and trains the best of them.

    AutoKeras's own `max_trials` sets how many are trained. After `fit`, the tuner's `table` is the `ScoreTable` of all
    candidates, `kept` that of the ones to train, and `results` has scores and, of trained models, the objective. In a
    folder that holds an earlier search of the same settings, `fit` goes on with it.

    The seed is AutoKeras's own; without one, each folder gets other candidates.

    Args:
        proxies: names of proxies, several combined by their ranks, or a `Combination`.
        candidates: how many models to score.
        where: conditions that a model must pass to be trained, such as "params < 1e6 and flops < 1e7".
        batch: what to score on: a number of samples, drawn from the data of `fit`, or a batch. By default the number
            that the combination sets, or 64.
        loss: a torch function of outputs and targets, as in `zerocost.score`, which gets the targets as AutoKeras
            encodes them. The default is cross-entropy; then proxies that need labels fail unless the head classifies.

    Raises:
        InputError: numbers out of range.
        MissingExtraError: AutoKeras is not installed.

    >>> autokeras.ImageClassifier(tuner=filtered("jacob_cov"), max_trials=3)  # doctest: +SKIP
    """
    if candidates < 1:
        raise InputError(f"candidates must be at least 1, got {candidates}")
    tuners, combination, loss = import_keras_tuner(), combine.as_combination(proxies), check_loss(loss)
    conditions = combination.conditions(where)
    also, batch = proxies_in(conditions), combination.batch or 64 if batch is None else batch

    class Filtered(_import_auto_tuner()):  # type: ignore[misc]
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
            oracle_settings = {name: settings.pop(name) for name in ORACLE_SETTINGS if name in settings}
            oracle = queue_oracle(tuners)(objective=objective, max_trials=max_trials, seed=seed, **oracle_settings)
            super().__init__(oracle, hypermodel, **settings)
            self.seed, self.train_top = oracle.seed if seed is None else seed, max_trials
            self.limit = settings.get("max_model_size")

        def search(self, *args: Any, **fit: Any) -> Any:
            self.data = {"x": fit["x"], "y": fit["y"]}
            self.max_model_size = None  # the limit is for candidates, not for the model of the default values
            try:
                with ignore_version_warnings():
                    return super().search(*args, **fit)
            finally:
                self.max_model_size = self.limit

        def on_search_begin(self) -> None:
            """Score the candidates: AutoKeras knows the shapes of the data now, and nothing is trained yet."""
            super().on_search_begin()
            self.max_model_size = self.limit
            _, (x, y), _ = self._prepare_model_build(self.oracle.get_space(), **self.data)
            self.candidates = name_proposals(draw_proposals(self, candidates, self.seed))
            trials_by_candidate(self, self.candidates)
            drawn = batch
            if isinstance(drawn, int):
                builds = [partial(build_model, self, values) for values in self.candidates.values()]
                drawn = draw_batch(x, y, drawn, self.seed, target_reader(loss, builds))
            builders = {name: partial(self.untrained, values, drawn[0]) for name, values in self.candidates.items()}
            self.table = rank_batch(builders, drawn, combination, also=also, loss=loss, seed=self.seed)
            self.kept = select_best(self.table, conditions, self.train_top)
            enqueue(self, self.candidates, self.kept)

        def untrained(self, values: dict[str, Any], inputs: Any) -> Any:
            """The untrained model with some values, its normalisation adapted to the inputs."""
            return self.adapt(build_model(self, values), np.asarray(inputs))

        def get_best_models(self, num_models: int = 1) -> Any:
            with ignore_version_warnings():
                return super().get_best_models(num_models)

        @property
        def results(self) -> pd.DataFrame:
            """One row a candidate, best score first: its scores, and the objective where it was trained."""
            if self.table is None:
                raise InputError("nothing was searched yet; call fit()")
            return add_objective(self.table, self.candidates, self)

    return Filtered


def _import_auto_tuner() -> Any:
    """AutoKeras's class of tuners; `MissingExtraError` without AutoKeras."""
    try:
        return import_module("autokeras.engine.tuner").AutoTuner
    except ImportError as error:
        raise MissingExtraError(f"AutoKeras needs the extra keras: pip install 'zerocost[keras]' ({error})") from error
