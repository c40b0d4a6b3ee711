from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Timer

import optuna
import pytest
from optuna.trial import TrialState
from torch import nn

from zerocost.base.errors import InputError, ZerocostError
from zerocost.samplers import RandomSampler
from zerocost.samplers.suggest import suggest
from zerocost.search import shared_study as shared
from zerocost.search.explore import Proposer, explore
from zerocost.search.measure import Measurement
from zerocost.search.objectives import Objectives
from zerocost.search.settings import Stopping
from zerocost.search.shared_storage import KEY, OWNER, TWIN
from zerocost.search.shared_study import open_storage
from zerocost.spaces import from_function
from zerocost.store import Store, owners

SPACE = from_function(lambda choose: nn.Linear(choose.int("width", 1, 12), 1), "linear")
DEAD = {"machine": owners.machine_id(), "pid": 2**22 + 1, "born": "1"}


@pytest.fixture
def url(place, monkeypatch):
    storages = []

    def kept(where):
        storages.append(shared.open_storage(where))
        return storages[-1]

    monkeypatch.setitem(globals(), "open_storage", kept)
    yield str(place)
    for storage in storages:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def closing_storage(where):
    storage = open_storage(where)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def study(url, seed=0):
    return optuna.create_study(
        storage=open_storage(url),
        study_name="one",
        sampler=RandomSampler(SPACE, seed=seed),
        direction="maximize",
        load_if_exists=True,
    )


def measure(archs):
    yield from [Measurement({"width": dict(arch.choices)["width"]}, {}) for arch in archs]


def search(made, candidates=12, **options):
    stopping = Stopping(candidates=candidates)
    return explore(Proposer(SPACE, made, Objectives(("width",)), stopping, shared=True), measure, **options)


def left_by_a_dead_process(made, monkeypatch):
    """A trial that was to be measured by a process that has ended."""
    with monkeypatch.context() as patch:
        patch.setattr(owners, "this_process", lambda: DEAD)
        trial = made.ask()
        arch = suggest(SPACE, trial)
        assert shared.claim_trial(made, trial, str(arch), 12)
    return str(arch)


def test_a_trial_names_its_process_from_the_start(url):
    made = study(url)
    number = made.ask().number
    assert made.trials[number].user_attrs[OWNER] == owners.this_process()


def test_what_was_measured_is_read_by_the_next_process(url):
    first = search(study(url), candidates=5)
    second = search(study(url, seed=1), candidates=8)
    assert list(second.measured)[:5] == list(first.measured)
    assert len(second.measured) == 8
    third = search(study(url, seed=2), candidates=8)
    assert third.measured == second.measured
    assert third.stopped == "8 architectures were measured"


@pytest.mark.parametrize("candidates", [4, 12, 100])
def test_what_a_dead_process_left_is_done_again(url, candidates, monkeypatch):
    made = study(url)
    undone = left_by_a_dead_process(made, monkeypatch)
    found = search(made, candidates=candidates)
    assert undone in found.measured
    assert len(found.measured) == min(candidates, 12)
    assert [trial.state for trial in made.trials].count(TrialState.FAIL) == 1
    assert all(trial.state.is_finished() for trial in made.trials)


def test_what_it_had_not_decided_on_is_given_up(url, monkeypatch):
    made = study(url)
    with monkeypatch.context() as patch:
        patch.setattr(owners, "this_process", lambda: DEAD)
        made.ask()
    found = search(made, candidates=4)
    assert len(found.measured) == 4
    assert made.trials[0].state == TrialState.FAIL


def test_two_that_give_up_the_same_trial_leave_it_to_be_done_once(url, monkeypatch):
    made, other = study(url), study(url)
    undone = left_by_a_dead_process(made, monkeypatch)
    lost = shared.lost_trials(made)
    shared.give_up(made, lost)
    made.enqueue_trial(lost[0].params, user_attrs={"architecture": undone, KEY: undone})
    shared.give_up(other, lost)
    found = search(made)
    assert list(found.measured).count(undone) == 1
    done = [t for t in made.trials if t.state == TrialState.COMPLETE and TWIN not in t.user_attrs]
    assert len(done) == len({t.user_attrs[KEY] for t in done}) == 12


def test_ctrl_c_leaves_what_was_proposed_to_others_and_keeps_what_was_measured(url):
    def stop(done, _):
        if done == 3:
            raise KeyboardInterrupt

    made = study(url)
    with pytest.raises(KeyboardInterrupt):
        search(made, progress=stop)
    assert not any(trial.state == TrialState.RUNNING for trial in made.trials)
    found = search(study(url))
    assert len(found.measured) == 12


def test_a_waiting_trial_is_given_to_one_of_those_who_ask_at_once(url):
    made = study(url)
    for width in range(1, 9):
        made.enqueue_trial({"width": width})
    begin = Barrier(4)

    def ask(_):
        own = study(url)
        begin.wait()
        return [own.ask().number for _ in range(2)]

    with ThreadPoolExecutor(4) as pool:
        numbers = [number for part in pool.map(ask, range(4)) for number in part]
    assert sorted(numbers) == list(range(8))


def test_an_earlier_twin_or_enough_of_others_make_a_trial_unneeded(url):
    made = study(url)
    first, second, third = made.ask(), made.ask(), made.ask()
    assert shared.claim_trial(made, first, "a", 2)
    assert not shared.claim_trial(made, second, "a", 2)
    made.tell(second, state=TrialState.FAIL)
    assert shared.claim_trial(made, third, "b", 2)
    assert not shared.claim_trial(made, made.ask(), "c", 2)
    made.tell(first, state=TrialState.FAIL)
    assert shared.claimed_keys(made.trials) == {"b"}


def test_what_cannot_be_opened_is_bad_input(tmp_path):
    file = tmp_path / "study.db"
    file.write_text("no database at all, but long enough to be taken for one" * 20)
    for url in (str(file), f"sqlite:///{tmp_path}/no/such/folder.db"):
        with pytest.raises(InputError, match="cannot keep a study in") as error:
            open_storage(url)
        assert "\n" not in str(error.value)


def test_a_password_is_not_shown():
    with pytest.raises(InputError) as error:
        open_storage("postgresql://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_file_that_another_writes_is_waited_for(url):
    made = study(url)
    with sqlite3.connect(url, isolation_level=None, check_same_thread=False) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(made.ask)
            with pytest.raises(TimeoutError):
                asked.result(0.3)
            other.execute("COMMIT")
            assert asked.result(30).number == 0
    other.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE trial_user_attributes SET value_json = '{' WHERE key = 'scores'", r"'\{' in table trial_user_attr"),
        ("UPDATE trial_user_attributes SET value_json = '3' WHERE key = 'scores'", "trial 0 has 3 as its scores"),
        ("UPDATE trial_user_attributes SET value_json = '[]' WHERE key = 'owner'", r"trial 0 has \[\] as its owner"),
        ("UPDATE trial_user_attributes SET value_json = '1' WHERE key = 'key'", "trial 0 has 1 as its key"),
        ("UPDATE trial_params SET distribution_json = 'x'", "'x' in table trial_params"),
    ],
)
def test_a_damaged_row_is_named(tmp_path, statement, message):
    url = f"sqlite:///{tmp_path}/study.db"
    with closing_storage(url) as storage:
        search(optuna.create_study(storage=storage, study_name="one", sampler=RandomSampler(SPACE)), candidates=2)
    with sqlite3.connect(tmp_path / "study.db") as other:
        other.execute(statement)
    other.close()
    with closing_storage(url) as storage, pytest.raises(ZerocostError, match=message):
        search(optuna.load_study(storage=storage, study_name="one", sampler=RandomSampler(SPACE)), candidates=4)


def test_a_locked_study_is_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(shared, "LOCK_TIMEOUT", 0.01)
    with closing_storage(f"sqlite:///{tmp_path}/study.db") as storage:
        made = optuna.create_study(storage=storage, study_name="one", sampler=RandomSampler(SPACE))
        other = sqlite3.connect(tmp_path / "study.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = Timer(0.5, lambda: other.execute("COMMIT"))
        release.start()
        assert len(search(made, candidates=2).measured) == 2
        release.join()
        other.close()
    assert [record.message for record in caplog.records if "waiting up to 60 s" in record.message] != []


def test_connections_that_the_server_ends_are_made_again(postgres):
    with closing_storage(postgres) as storage:
        made = optuna.create_study(storage=storage, study_name="one", sampler=RandomSampler(SPACE))
        assert len(search(made, candidates=2).measured) == 2
        with storage.engine.connect() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with Store(postgres) as store:
            store.database.transact(lambda execute: execute("SELECT pg_terminate_backend(:pid)", {"pid": pid}))
        assert len(search(made, candidates=4).measured) == 4
