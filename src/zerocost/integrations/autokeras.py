"""An AutoKeras search whose candidates are scored before training, so that only the best are trained."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from zerocost import combine
from zerocost.combine import Combination
from zerocost.errors import Failure, InputError, MissingExtraError
from zerocost.integrations.tuner import (
    beside,
    keras_tuner,
    labelled,
    old_ways,
    proposals,
    queued,
    sample,
    spaced,
    survivors,
)
from zerocost.proxies.registry import Proxy
from zerocost.scoring import rank_batch
from zerocost.seeding import initialise
from zerocost.select import proxies_in
from zerocost.tables import ScoreTable


def filtered(
    proxies: Combination | Iterable[str | Proxy] | str = combine.default,
    *,
    candidates: int = 20,
    where: str | None = None,
    batch: int | Any = None,
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

    Raises `InputError` for numbers that mean nothing, and `MissingExtraError` where AutoKeras is not installed.

    >>> autokeras.ImageClassifier(tuner=filtered("jacob_cov"), max_trials=3)  # doctest: +SKIP
    """
    if candidates < 1:
        raise InputError(f"candidates must be at least 1, got {candidates}")
    tuners, combination = keras_tuner(), combine.of(proxies)
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
            hyperparameters: Any = None,
            **settings: Any,
        ) -> None:
            if max_trials > candidates:
                raise InputError(f"max_trials must be at most candidates={candidates}, got {max_trials}")
            self.queue: list[dict[str, Any]] = []
            oracle = queued(tuners, self.queue)(
                objective=objective, max_trials=max_trials, seed=seed, hyperparameters=hyperparameters
            )
            super().__init__(oracle, hypermodel, **settings)

        def search(self, *args: Any, **fit: Any) -> Any:
            self.data = {"x": fit["x"], "y": fit["y"]}
            with old_ways():
                return super().search(*args, **fit)

        def on_search_begin(self) -> None:
            """Score the candidates, which is when AutoKeras knows the shapes of the data and nothing is trained yet."""
            super().on_search_begin()
            seed = self.oracle.seed
            _, (x, y), _ = self._prepare_model_build(self.oracle.get_space(), **self.data)
            given = sample(x, y, batch, seed) if isinstance(batch, int) else batch
            drawn = proposals(self.oracle, candidates, self.whole)
            self.candidates = labelled([dict(spaced(self.oracle, values).values) for values in drawn])  # as in a trial
            builders = {name: partial(self.untrained, values, given[0]) for name, values in self.candidates.items()}
            self.table = rank_batch(builders, given, combination, also=also, seed=seed)
            self.kept = survivors(self.table, conditions, self.max_trials)
            self.queue[:] = [self.candidates[str(name)] for name in self.kept.frame.index]

        def whole(self, values: dict[str, Any]) -> dict[str, Any]:
            """The values with those that AutoKeras meets as it builds; the oracle draws them too from now on."""
            space = spaced(self.oracle, values)
            with suppress(Failure):
                initialise(partial(self._try_build, space))  # in a fresh session, so that blocks keep their names
            self.oracle.update_space(space)
            return dict(space.values)

        def untrained(self, values: dict[str, Any], inputs: Any) -> Any:
            """The untrained model of some values, its normalisation set to the inputs."""
            return self.adapt(self._try_build(spaced(self.oracle, values)), np.asarray(inputs))

        def get_best_models(self, num_models: int = 1) -> Any:
            with old_ways():
                return super().get_best_models(num_models)

        @property
        def results(self) -> pd.DataFrame:
            """One row a candidate, best score first: its scores, and the objective where it was trained."""
            if self.table is None:
                raise InputError("nothing was searched yet; call fit()")
            return beside(self.table, self.candidates, self.oracle)

    return Filtered


def auto_tuner() -> Any:
    """AutoKeras's class of tuners; `MissingExtraError` without AutoKeras."""
    try:
        return import_module("autokeras.engine.tuner").AutoTuner
    except ImportError as error:
        raise MissingExtraError(f"AutoKeras needs the extra keras: pip install 'zerocost[keras]' ({error})") from error
