from __future__ import annotations

import sys

import pytest

from zerocost.base.errors import InputError, MissingExtraError
from zerocost.store import Store
from zerocost.store.database import Database


def make_notes(execute):
    execute("CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, note TEXT)")


def test_a_file_is_written_ahead_by_path_and_url(tmp_path):
    file = tmp_path / "a.db"
    for where in (file, str(file), f"sqlite:///{file}"):
        database = Database(where, make_notes)
        assert database.transact(lambda execute: execute("PRAGMA journal_mode")) == [("wal",)]
        assert database.name == str(file)
        database.close()


def test_a_transaction_that_breaks_leaves_nothing(place):
    database = Database(place, make_notes)

    def break_off(execute):
        execute("INSERT INTO notes (name, note) VALUES (:name, :note)", [{"name": "a", "note": "b"}])
        raise KeyError

    with pytest.raises(KeyError):
        database.transact(break_off, write=True)
    assert database.transact(lambda execute: execute("SELECT name FROM notes")) == []
    database.close()


def test_the_clock_is_that_of_the_database(place):
    database = Database(place, make_notes)
    [(first,)], [(second,)] = [database.transact(lambda execute: execute("SELECT {now}")) for _ in range(2)]
    assert 0 <= second - first < 60
    database.close()


@pytest.mark.parametrize("extra", ["", "?password=pa55word"])
def test_a_server_that_is_not_there_is_bad_input_without_the_password(extra):
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    with pytest.raises(InputError, match=r"cannot keep scores in postgresql://me:\*\*\*@127.0.0.1:1/db: ") as raised:
        Store(f"postgresql://me:pa55word@127.0.0.1:1/db{extra}")
    assert "pa55word" not in str(raised.value)


def test_the_name_of_a_server_hides_the_password(postgres):
    with Store(postgres.replace("zerocost@", "zerocost:pa55word@")) as kept:
        assert kept.where is not None
        assert kept.where.startswith("postgresql://zerocost")
        assert "pa55word" not in kept.where


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'zerocost\[postgres\]'"):
        Store("postgresql://me:pa55word@127.0.0.1/db")


def test_what_is_in_memory_outlives_the_connection():
    """SQLAlchemy gives one up where Ctrl-C meets a statement."""
    made = Database(None, lambda execute: execute("CREATE TABLE IF NOT EXISTS kept (number INT)"))
    made.transact(lambda execute: execute("INSERT INTO kept VALUES (1)"), write=True)
    with made.engine.connect() as connection:
        connection.invalidate()
    assert made.transact(lambda execute: execute("SELECT number FROM kept")) == [(1,)]
    made.close()
