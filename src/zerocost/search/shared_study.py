"""A study that several processes share, in a database: nobody's trial is lost, none is done twice, none too many."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from optuna import Study, Trial
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from zerocost.base.errors import InputError, MissingExtraError
from zerocost.samplers.base import SCORES
from zerocost.samplers.suggest import ARCHITECTURE, REJECTED
from zerocost.search.measure import Measurement
from zerocost.search.shared_storage import FAILURES, KEY, OWNER, TWIN, SharedStorage
from zerocost.store import owners
from zerocost.store.database import LOCK, LOCK_TIMEOUT, sync_less, use_write_ahead_log
from zerocost.store.retry import PATIENCE, database_message
from zerocost.store.urls import as_url, display_url

_ENDED_STATES = (TrialState.COMPLETE, TrialState.PRUNED)
"""States of trials that were not given up."""
_SILENCE = 3600.0
"""Seconds after which a trial that another machine has not ended counts as lost."""
POLL = 0.2
"""Seconds to wait for other processes before looking again."""
_RACE_WORDS = ("already exists", "locked", "unique", "duplicate")
"""What a database says when two processes make the same tables at once."""


def open_storage(url: str) -> RDBStorage:
    """Optuna's storage at a URL, written as that of a store of scores is.

    Transactions on a SQLite file take turns from their first statement on, so that none finds it locked, and no two
    take the same waiting trial. A server that is gone for a while is waited for.

    Raises `InputError` for a database that cannot be used, and `MissingExtraError` where its driver is missing.
    """
    place = as_url(url)
    sqlite = place.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"connect_args": {"timeout": LOCK_TIMEOUT, "isolation_level": None}} if sqlite else {}
    late = time.monotonic() + PATIENCE
    while True:
        storage = None
        try:
            storage = SharedStorage(place.render_as_string(hide_password=False), engine_kwargs=options)
            if sqlite:
                storage.engine.dispose()
                sync_less(storage.engine)
                use_write_ahead_log(storage.engine, display_url(place))
                sa.event.listen(storage.engine, "begin", lambda connection: connection.exec_driver_sql(LOCK["sqlite"]))
            return storage
        except ImportError as error:
            extra = "pip install 'zerocost[postgres]'"
            raise MissingExtraError(f"{display_url(place)} needs the extra postgres: {extra}") from error
        except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
            if storage is not None:
                storage.engine.dispose()
            cause = error.__cause__ if isinstance(error, StorageInternalError) else error
            reason = database_message(cause) if isinstance(cause, SQLAlchemyError) else str(error).partition(". ")[0]
            if time.monotonic() > late or not any(word in reason.lower() for word in _RACE_WORDS):
                raise InputError(f"cannot keep a study in {display_url(place)}: {reason}") from None
        time.sleep(POLL)


def sign_trial(trial: Trial) -> None:
    """Note on a trial which process has it."""
    if trial.user_attrs.get(OWNER) != owners.this_process():
        trial.set_user_attr(OWNER, owners.this_process())


def measurements(trials: Iterable[FrozenTrial]) -> dict[str, Measurement]:
    """What all processes have measured, in the order of the trials."""
    return {
        t.user_attrs[ARCHITECTURE]: Measurement(t.user_attrs[SCORES], t.user_attrs[FAILURES])
        for t in trials
        if t.state in _ENDED_STATES and KEY in t.user_attrs and SCORES in t.user_attrs
    }


def rejections(trials: Iterable[FrozenTrial]) -> dict[str, str]:
    """What all processes have refused to measure, and why."""
    return {
        t.user_attrs.get(ARCHITECTURE, f"trial {t.number}"): t.user_attrs[REJECTED]
        for t in trials
        if t.state == TrialState.PRUNED and REJECTED in t.user_attrs and SCORES not in t.user_attrs
    }


def claimed_keys(trials: Iterable[FrozenTrial]) -> set[str]:
    """The keys of architectures that were measured, are being measured, or wait for it."""
    return {
        t.user_attrs[KEY]
        for t in trials
        if KEY in t.user_attrs and (not t.state.is_finished() or (t.state in _ENDED_STATES and SCORES in t.user_attrs))
    }


def claim_trial(study: Study, trial: Trial, key: str, candidates: int) -> bool:
    """Whether to measure a trial: no earlier one is of a twin, and there are too few. Noted on the trial if so.

    Trials are decided in the order of their numbers, whatever process has them.
    """
    while True:
        earlier = [t for t in study.get_trials(deepcopy=False) if t.number < trial.number]
        if not any(_is_undecided(t) for t in earlier):
            break
        time.sleep(POLL / 10)
    others = claimed_keys(earlier)
    if key in others or len(others) >= candidates:
        return False
    trial.set_user_attr(KEY, key)
    return True


def _is_undecided(trial: FrozenTrial) -> bool:
    """Whether a process is about to say whether it will measure a trial."""
    decided = KEY in trial.user_attrs or TWIN in trial.user_attrs
    return trial.state == TrialState.RUNNING and not decided and not _is_abandoned(trial)


def _is_abandoned(trial: FrozenTrial) -> bool:
    """Whether a trial's process will not end it any more; one without a name is given a minute to write it."""
    start = trial.datetime_start
    age = (datetime.now() - start).total_seconds() if start else 0.0
    owner = trial.user_attrs.get(OWNER)
    if owner is None:
        return age > 60
    return owners.is_gone(owners.LifeSign(owner["machine"], owner["pid"], owner["born"], 0.0)) or age > _SILENCE


def lost_trials(study: Study) -> list[FrozenTrial]:
    """Trials whose process has ended without them."""
    return [t for t in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)) if _is_abandoned(t)]


def own_trials(study: Study) -> list[FrozenTrial]:
    """Trials that this process has not ended."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [t for t in running if t.user_attrs.get(OWNER) == owners.this_process()]


def give_up(study: Study, trials: Iterable[FrozenTrial]) -> None:
    """Give trials up: they fail, and those that were to be measured wait for whoever asks next."""
    for trial in trials:
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if KEY in trial.user_attrs and trial.user_attrs[KEY] not in claimed_keys(waiting):
            kept = {name: trial.user_attrs[name] for name in (ARCHITECTURE, KEY)}
            study.enqueue_trial(trial.params, user_attrs=kept)
        with suppress(UpdateFinishedTrialError):
            study._storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
