"""The trainings of a KerasTuner search: the selected candidates, once each, also after a break."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from zerocost.base.errors import InputError
from zerocost.integrations.keras.proposals import draw_values, values_name
from zerocost.scoring.select import select
from zerocost.scoring.table import ScoreTable

ORACLE_SETTINGS = (
    "hyperparameters",
    "tune_new_entries",
    "allow_new_entries",
    "max_retries_per_trial",
    "max_consecutive_failed_trials",
)
"""The settings of KerasTuner's tuners that belong to their oracle."""


def queue_oracle(tuners: Any) -> Callable[..., Any]:
    """A class of KerasTuner oracles that propose what is in their queue, then stop.

    Their `begun` holds the values that each trial was proposed with; it is saved and reloaded with their state.
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
            return {"status": "RUNNING", "values": draw_values(self, values_name(values), values).values}

        def get_state(self) -> dict[str, Any]:
            return {**super().get_state(), "begun": self.begun}

        def set_state(self, state: dict[str, Any]) -> None:
            super().set_state(state)
            self.begun = state.get("begun", {})

    return Queued


def trials_by_candidate(tuner: Any, candidates: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The trials of a tuner, by the name of the candidate that each trains.

    Raises:
        InputError: a trial of another search is in the same folder.
    """
    names = {values_name(values): name for name, values in candidates.items()}
    found: dict[str, Any] = {}
    for place, trial in tuner.oracle.trials.items():
        values = values_name(tuner.oracle.begun.get(place, trial.hyperparameters.values))
        if values not in names:
            raise InputError(
                f"{tuner.project_dir} holds another search, which trained {values}; use overwrite=True to replace it, "
                "another project_name, or the settings and the seed it had"
            )
        found[names[values]] = trial
    return found


def enqueue(tuner: Any, candidates: dict[str, dict[str, Any]], kept: ScoreTable) -> None:
    """Queue the candidates that were kept and are not trained yet."""
    begun = trials_by_candidate(tuner, candidates)
    tuner.oracle.queue[:] = [candidates[str(name)] for name in kept.frame.index if name not in begun]
    tuner.oracle.max_trials = len(begun) + len(tuner.oracle.queue)


def select_best(table: ScoreTable, where: str | None, count: int) -> ScoreTable:
    """The models of highest score that pass the conditions; `InputError` if none does."""
    kept = select(table, where, top=count)
    if not len(kept):
        first = str(table.frame.index[0])
        failed = "; ".join(f"{name}: {why}" for name, why in table.cards[first].failures.items())
        reason = f"{kept.dropped[first]}{f' ({failed})' if failed else ''}"
        raise InputError(f"no model is left to train; the best one: {reason}")
    return kept


def add_objective(table: ScoreTable, candidates: dict[str, dict[str, Any]], tuner: Any) -> pd.DataFrame:
    """The scores of all models, with the objective of those that were trained."""
    scores = {
        name: trial.score for name, trial in trials_by_candidate(tuner, candidates).items() if trial.score is not None
    }
    objective = [scores.get(name, np.nan) for name in table.frame.index]
    return table.frame.assign(**{tuner.oracle.objective.name: objective})
