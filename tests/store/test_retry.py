"""Databases that are locked, gone for a while, or full."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from zerocost.base.errors import DiskFullError, InputError, ZerocostError
from zerocost.store import Score, Store, database, retry

ONE = {("a", 0, "snip"): Score(1.0, None)}
TWO = {("b", 0, "snip"): Score(2.0, None)}
WITH_POSTGRES = Path(__file__).parents[2] / ".ci" / "with-postgres"


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A store whose file another connection is writing."""
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0.01)
    with Store(tmp_path / "scores.db") as store:
        store.add("run", ONE)
        other = sqlite3.connect(tmp_path / "scores.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        yield store, other
        other.close()


def test_a_lock_is_waited_for_and_said_once(locked, caplog):
    store, other = locked
    release = threading.Timer(0.5, lambda: other.execute("COMMIT"))
    release.start()
    store.add("run", TWO)
    release.join()
    assert store.known("run") == ONE | TWO
    [record] = caplog.records
    assert record.getMessage() == f"waiting up to 60 s for {store.where}: database is locked"


def test_a_lock_that_stays_is_one_clear_error_and_what_was_stored_is_kept(locked, monkeypatch):
    store, other = locked
    monkeypatch.setattr(retry, "PATIENCE", 0.3)
    with pytest.raises(ZerocostError, match=r"scores\.db was tried for 0 seconds, but database is locked; what was"):
        store.add("run", TWO)
    other.execute("COMMIT")
    assert store.known("run") == ONE


def test_a_full_disk_is_named_and_what_was_stored_is_kept(tmp_path, monkeypatch):
    many = {(f"arch-{i}", 0, "snip"): Score(float(i), None) for i in range(5000)}
    with Store(tmp_path / "scores.db") as store:
        store.add("run", ONE)
        sa.event.listen(store.database.engine, "checkout", lambda c, *_: c.execute("PRAGMA max_page_count = 20"))
        with pytest.raises(DiskFullError, match="database or disk is full"):
            store.add("run", many)
        assert store.known("run") == ONE


def test_an_error_of_another_kind_is_not_tried_again(tmp_path, caplog):
    with Store(tmp_path / "scores.db") as store, pytest.raises(ZerocostError, match="no such table: nowhere"):
        store.database.transact(lambda execute: execute("SELECT * FROM nowhere"))
    assert caplog.records == []


def test_connections_that_the_server_ends_are_made_again(postgres):
    with Store(postgres) as store, Store(postgres) as other:
        store.add("run", ONE)
        [(pid,)] = store.database.transact(lambda execute: execute("SELECT pg_backend_pid()"))
        other.database.transact(lambda execute: execute("SELECT pg_terminate_backend(:pid)", {"pid": pid}))
        store.add("run", TWO)
        assert store.known("run") == ONE | TWO


@pytest.fixture
def server(postgres):
    """A server of its own: its URL, and what stops and starts it."""
    pipe = subprocess.PIPE
    environment = {name: value for name, value in os.environ.items() if name != "ZEROCOST_TEST_POSTGRES"}
    command = [str(WITH_POSTGRES), "sh", "-c", "echo $ZEROCOST_TEST_POSTGRES; cat"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        url = process.stdout.readline().strip()
        folder = Path(url.partition("host=")[2])
        pid = (folder / "data" / "postmaster.pid").read_text().split()[0]
        program = Path(f"/proc/{pid}/exe").readlink().with_name("pg_ctl")
        owner = ["runuser", "-u", folder.owner(), "--"] if os.getuid() == 0 else []

        def control(action: str) -> None:
            start = ["-o", f"-c listen_addresses='' -c fsync=off -k {folder}"]
            options = start if action == "start" else ["-m", "fast"]
            place = ["-D", str(folder / "data"), "-l", str(folder / "log")]
            subprocess.run([*owner, str(program), action, "-w", "-s", *place, *options], check=True, cwd=folder)

        yield url, control
        process.stdin.close()


@pytest.mark.skipif(not Path("/proc/self/exe").exists(), reason="/proc says where the server's programs are")
def test_a_server_that_is_gone_for_a_while_is_waited_for(server: tuple[str, Callable[[str], None]], caplog):
    url, control = server
    with Store(url) as store:
        store.add("run", ONE)
        store.claim("run", [("b", 0)])
        control("stop")
        start = threading.Timer(2.0, control, ["start"])
        start.start()
        begun = time.monotonic()
        store.add("run", TWO)
        assert 1.5 < time.monotonic() - begun < 60
        start.join()
        assert store.known("run") == ONE | TWO
        assert len([record for record in caplog.records if "waiting up to 60 s for postgresql" in record.message]) == 1
    with pytest.raises(InputError, match="cannot keep scores in"):
        control("stop")
        Store(url)
    control("start")
