"""One database through SQLAlchemy: SQLite or PostgreSQL, the same statements for both, one writer at a time."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from zerocost.base.errors import DiskFullError, InputError, MissingExtraError, ZerocostError
from zerocost.base.files import check_kind
from zerocost.store.retry import database_message, is_full, retry
from zerocost.store.urls import as_url, display_url

LOCK_TIMEOUT = 5.0
"""Seconds to wait in silence while another process writes a SQLite file."""
LOCK = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(2053468015)"}
"""What makes a transaction the only one that writes, until it ends."""
_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)",
}
"""The database's clock, the same for all its users, in seconds."""
_TABLES = {
    "sqlite": "(SELECT name FROM sqlite_master) AS known",
    "postgresql": "(SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()) AS known",
}
"""The names of the tables there are."""
_CLUSTERED = {"sqlite": " WITHOUT ROWID", "postgresql": ""}
"""What ends the definition of a table whose rows lie in the order of its primary key, where a database can do that."""
_ADVICE = {
    "sqlite": {False: "give the path of a file to make", True: "give a file of scores that this user may write to"},
    "postgresql": dict.fromkeys((False, True), "give postgresql://USER:PASSWORD@HOST/DATABASE of a server that runs"),
}
"""What to do where a database cannot be opened, to keep scores in or (True) for those that it holds."""

_WORDS = {"{now}": _NOW, "{tables}": _TABLES, "{clustered}": _CLUSTERED}

T = TypeVar("T")
_Values = Mapping[str, Any]


class Execute(Protocol):
    """Executes a statement in a transaction, once, or once for each mapping in a list; returns the rows of a query.

    In a statement, `:name` is a value: a list of them after `IN`, a tuple for an array of PostgreSQL. `{now}` is the
    time by the database's clock, `{tables}` has the names of its tables, and `{clustered}` ends the definition of one
    whose rows lie in the order of its key.
    """

    def __call__(self, statement: str, values: _Values | Sequence[_Values] | None = None, /) -> list[Any]: ...


class Database:
    """Tables in SQLite (a path, sqlite:///FILE, memory for `None`) or PostgreSQL.

    Args:
        where: path, URL or `None`.
        prepare: makes the tables that are missing, or raises for those that it does not know.
        existing: whether it is opened for what it holds.

    Attributes:
        name: where the database is, without the password; `None` for memory.
        shared: whether other processes can open it.

    Raises:
        InputError: it cannot be opened, or `prepare` fails.
        DiskFullError: the disk is full.
        MissingExtraError: the driver is not installed.
    """

    def __init__(self, where: str | Path | None, prepare: Callable[[Execute], None], existing: bool = False) -> None:
        url = as_url(where)
        self.kind = url.get_backend_name()
        self.shared = url.database is not None or self.kind != "sqlite"
        self.name = display_url(url) if self.shared else None
        if self.kind == "sqlite" and self.name is not None:
            check_kind(self.name, "a database of scores, such as scores.db")
        self.engine = _make_engine(url)
        try:
            if self.kind == "sqlite":
                sync_less(self.engine)
            self.transact(prepare, write=True, patience=None if self.kind == "sqlite" else 0)
            if self.kind == "sqlite":  # not before it is known to be a store
                with self._plain_errors():
                    use_write_ahead_log(self.engine, self.name)
        except DiskFullError:
            self.close()
            raise
        except (SQLAlchemyError, ZerocostError) as error:
            self.close()
            reason = str(error) if isinstance(error, ZerocostError) else database_message(error)
            advice = "" if isinstance(error, InputError) else f"; {_ADVICE[self.kind][existing]}"
            purpose = "open the scores in" if existing else "keep scores in"
            raise InputError(f"cannot {purpose} {self.name}: {reason}{advice}") from None

    def transact(self, work: Callable[[Execute], T], *, write: bool = False, patience: float | None = None) -> T:
        """Do work in a transaction, kept as a whole or not at all. Only one writes at a time, among all processes.

        Where the database is locked or cannot be reached, the work is done again until it succeeds.

        Args:
            work: executes statements, perhaps more than once.
            write: whether it writes.
            patience: seconds to try for; `retry.PATIENCE` if None.

        Raises:
            ZerocostError: it failed; the message is the database's own.
            DiskFullError: the disk is full.
        """

        def attempt() -> T:
            with self.engine.connect() as connection:
                if write:
                    connection.exec_driver_sql(LOCK[self.kind])
                done = work(self.executor(connection))
                connection.commit()
            return done

        with self._plain_errors():
            return retry(attempt, self.name, patience)

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """What the database raises inside, as errors of this library."""
        try:
            yield
        except SQLAlchemyError as error:
            reason = database_message(error)
            if is_full(error):
                raise DiskFullError(
                    f"cannot write {self.name}: {reason}; what was stored until then is kept, and once there is room "
                    "the same call goes on from there"
                ) from None
            raise ZerocostError(f"the database of scores says: {reason}") from None

    def executor(self, connection: Connection) -> Execute:
        """A function that executes statements on a connection."""

        def execute(statement: str, values: _Values | Sequence[_Values] | None = None, /) -> list[Any]:
            if isinstance(values, list) and not values:
                return []
            one = values if isinstance(values, Mapping) else {}
            lists: list[sa.BindParameter[Any]] = [
                sa.bindparam(name, expanding=True) for name, value in one.items() if isinstance(value, list)
            ]
            for name, words in _WORDS.items():
                statement = statement.replace(name, words[self.kind])
            arrays = {name: list(value) for name, value in one.items() if isinstance(value, tuple)}
            text = sa.text(statement).bindparams(*lists)
            result = connection.execute(text, {**one, **arrays} if one else values)
            return [tuple(row) for row in result] if result.returns_rows else []

        return execute

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _make_engine(url: URL) -> Engine:
    """The engine that connects. To a database in memory one connection does the work, which threads share in turn, and
    another keeps it: SQLAlchemy closes the first where Ctrl-C meets a statement, and connects again."""
    if url.get_backend_name() == "postgresql":
        try:
            return sa.create_engine(url, pool_pre_ping=True)
        except ImportError as error:
            raise MissingExtraError("PostgreSQL needs psycopg: pip install 'zerocost[postgres]'") from error
    options = {"isolation_level": None, "timeout": LOCK_TIMEOUT, "check_same_thread": False}
    if url.database:
        return sa.create_engine(url, poolclass=sa.QueuePool, connect_args=options)
    place = f"file:{uuid.uuid4().hex}?mode=memory&cache=shared"
    keeper = sqlite3.connect(place, uri=True, check_same_thread=False)
    connect = partial(sqlite3.connect, place, uri=True, **options)
    engine = sa.create_engine(url, poolclass=sa.QueuePool, creator=connect, pool_size=1, max_overflow=0)
    sa.event.listen(engine, "engine_disposed", lambda _: keeper.close())
    return engine


def sync_less(sqlite: Engine) -> None:
    """Let SQLite wait for the disk only where that keeps a file whole, with the log of `use_write_ahead_log`."""
    sa.event.listen(sqlite, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL"))


def use_write_ahead_log(sqlite: Engine, name: str | None) -> None:
    """Let a SQLite file be read while it is written, without losing data when a process dies.

    SQLite refuses to change a file to this mode while another process does the same, so try until it is done.
    """

    def change() -> None:
        with sqlite.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")

    retry(change, name)
