"""What breaks beside the networks: the disk is full, the database is away. Nothing is lost, and the rest is done."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from run.small import TEXTS, job, scores
from zerocost.base.errors import DiskFullError
from zerocost.run import Scorer
from zerocost.store import Store, database

GIVEN = job("params", "active_params", "depth", "flops", "l2_norm")


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_sentence_and_with_room_the_rest_is_done(tmp_path, workers):
    where = tmp_path / "scores.db"
    with Store(where) as store, Scorer(GIVEN, store=store, workers=workers) as score:
        score(TEXTS[:2])
        sa.event.listen(store.database.engine, "checkout", lambda c, *_: c.execute("PRAGMA max_page_count = 1"))
        with pytest.raises(DiskFullError) as full:
            score(TEXTS)
    assert str(full.value) == (
        f"cannot write {where}: database or disk is full; what was stored until then is kept, and once there is room "
        "the same call goes on from there"
    )
    with Store(where) as store:
        assert sum(len(store.known(made)) for made in score.fingerprints.values()) >= 2 * 2 * 5
    assert scores(GIVEN, TEXTS, where) == scores(GIVEN, TEXTS)


def test_a_full_disk_is_named_where_a_store_is_made(tmp_path, monkeypatch):
    def no_room(engine):
        sa.event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA max_page_count = 2"))

    monkeypatch.setattr(database, "sync_less", no_room)
    with pytest.raises(DiskFullError, match=r"cannot write .*scores\.db: database or disk is full; "):
        Store(tmp_path / "scores.db")


def take_away(store: Store, place: Any) -> None:
    """Lock a SQLite file for a while; have PostgreSQL end the connection."""
    if store.database.kind == "sqlite":
        other = sqlite3.connect(place, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(1.0, other.close).start()
        return
    [(pid,)] = store.database.transact(lambda execute: execute("SELECT pg_backend_pid()"))
    with Store(place) as other:
        other.database.transact(lambda execute: execute("SELECT pg_terminate_backend(:pid)", {"pid": pid}))


@pytest.mark.usefixtures("one_thread")
def test_a_database_that_is_away_for_a_while_costs_time_alone(place, monkeypatch):
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0.01)
    with Store(place) as store, Scorer(GIVEN, store=store, workers=2) as score:
        found = score(TEXTS, progress=lambda done, _: done == 3 and take_away(store, place))
    assert found == scores(GIVEN, TEXTS)
    with Store(place) as store:
        assert sum(len(store.known(made)) for made in score.fingerprints.values()) == 2 * len(TEXTS) * 5
