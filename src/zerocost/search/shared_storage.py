"""Optuna's storage for a shared study: it waits for a database that is gone, and checks what it reads."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from zerocost.base.errors import ZerocostError
from zerocost.samplers.base import SCORES
from zerocost.samplers.suggest import ARCHITECTURE, REJECTED
from zerocost.store import owners
from zerocost.store.retry import database_message, retry
from zerocost.store.urls import as_url, display_url

FAILURES, OWNER, TWIN, KEY = "failures", "owner", "twin of", "key"
"""Attributes of a trial: by name, why scores are missing; the process that has it; what it is a repetition of; the key
of its architecture, once it is certain that it is to be measured."""
_JSON = {
    "trial_user_attributes": ("trial_id", "key", "value_json"),
    "trial_system_attributes": ("trial_id", "key", "value_json"),
    "trial_params": ("trial_id", "param_name", "distribution_json"),
}
"""Optuna's tables with texts of JSON: what names a row, and the text."""


class SharedStorage(RDBStorage):
    """Optuna's storage, whose trials name the process that has them from the start."""

    def __init__(self, url: str, **options: Any) -> None:
        self.place = display_url(as_url(url))
        try:
            super().__init__(url, **options)
        except BaseException:
            if hasattr(self, "engine"):
                self.engine.dispose()
            raise

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        new = template_trial or create_trial(state=TrialState.RUNNING, user_attrs={OWNER: owners.this_process()})
        return super()._create_new_trial(study_id, new)

    def _get_trials(self, *args: Any, **options: Any) -> list[FrozenTrial]:
        """Trials as Optuna reads them; `ZerocostError` that names a row which holds something else."""
        try:
            trials = super()._get_trials(*args, **options)
        except (ValueError, LookupError, TypeError) as error:
            raise ZerocostError(self._damaged(self._unreadable_row() or str(error))) from None
        for trial in trials:
            for name, is_right in _RIGHT.items():
                if name in trial.user_attrs and not is_right(trial.user_attrs[name]):
                    what = f"trial {trial.number} has {trial.user_attrs[name]!r:.60} as its {name}"
                    raise ZerocostError(self._damaged(what))
        return trials

    def _damaged(self, what: str) -> str:
        return f"the study in {self.place} is damaged: {what}. Delete that row, or use another database"

    def _unreadable_row(self) -> str:
        """The first row whose text is no JSON; empty if there is none."""
        with self.engine.connect() as connection:
            for table, (number, name, text) in _JSON.items():
                for row in connection.execute(sa.text(f"SELECT {number}, {name}, {text} FROM {table}")):
                    try:
                        json.loads(row[2])
                    except (ValueError, TypeError, RecursionError):
                        return f"{row[2]!r:.60} in table {table} ({number} {row[0]}, {name} {row[1]!r}) is no JSON"
        return ""


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a storage, done again while its database is locked or cannot be reached."""

    @functools.wraps(method)
    def call(self: SharedStorage, *args: Any, **options: Any) -> Any:
        def attempt() -> Any:
            try:
                return method(self, *args, **options)
            except StorageInternalError as error:
                raise error.__cause__ or error from None

        try:
            return retry(attempt, self.place)
        except SQLAlchemyError as error:
            raise ZerocostError(f"the study in {self.place} says: {database_message(error)}") from None

    return call


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value.values()))


def _is_numbers(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(v, int | float) and not math.isinf(v) for v in value.values())


def _is_owner(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return _is_text(value.get("machine")) and _is_text(value.get("born")) and isinstance(value.get("pid"), int)


_RIGHT: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys((ARCHITECTURE, KEY, TWIN, REJECTED), _is_text),
    **{SCORES: _is_numbers, FAILURES: _is_texts, OWNER: _is_owner},
}
"""For each attribute that zerocost gives a trial, whether a value may be one."""

for _name in (*sorted(BaseStorage.__abstractmethods__), "_create_new_trial", "_set_trial_param", "_get_trials"):
    if hasattr(SharedStorage, _name):  # Optuna 4 has no `_set_trial_param`
        setattr(SharedStorage, _name, _patient(getattr(SharedStorage, _name)))
