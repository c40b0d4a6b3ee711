"""One database through SQLAlchemy: SQLite or PostgreSQL, the same statements for both, one writer at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from zerocost.base.errors import InputError, MissingExtraError, ZerocostError
from zerocost.store.urls import as_url, display_url

LOCK_TIMEOUT = 60.0
"""Seconds to wait while another process writes a SQLite file."""
LOCK = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(2053468015)"}
"""What makes a transaction the only one that writes, until it ends."""
_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)",
}
"""The database's clock, the same for all its users, in seconds."""
_ADVICE = {
    "sqlite": "give the path of a file to make",
    "postgresql": "give postgresql://USER:PASSWORD@HOST/DATABASE of a server that runs",
}

_Values = Mapping[str, Any]


class Execute(Protocol):
    """Executes a statement in a transaction, once, or once for each mapping in a list; returns the rows of a query.

    In a statement, `:name` is a value (a list of values after `IN`), and `{now}` is the time by the database's clock.
    """

    def __call__(self, statement: str, values: _Values | Sequence[_Values] | None = None, /) -> list[Any]: ...


class Database:
    """Tables in SQLite (a path, sqlite:///FILE, memory for `None`) or PostgreSQL, made where they are missing.

    Args:
        where: path, URL or `None`.
        tables: for each table its columns, and possibly a primary key, as SQL.

    Attributes:
        name: where the database is, without the password; `None` for memory.
        shared: whether other processes can open it.

    Raises:
        InputError: it cannot be opened, or has tables of the same names with other columns.
        MissingExtraError: the driver is not installed.
    """

    def __init__(self, where: str | Path | None, tables: Mapping[str, Sequence[str]]) -> None:
        url = as_url(where)
        self.kind = url.get_backend_name()
        self.shared = url.database is not None or self.kind != "sqlite"
        self.name = display_url(url) if self.shared else None
        self.engine = _make_engine(url)
        try:
            if self.kind == "sqlite":
                use_write_ahead_log(self.engine)
            with self.transaction(write=True) as execute:
                for table, columns in tables.items():
                    execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)})")
                    names = [column.split()[0] for column in columns if not column.startswith("PRIMARY KEY")]
                    execute(f"SELECT {', '.join(names)} FROM {table} LIMIT 1")
        except (SQLAlchemyError, ZerocostError) as error:
            self.close()
            reason = str(error) if isinstance(error, ZerocostError) else database_message(error)
            raise InputError(f"cannot keep scores in {self.name}: {reason}; {_ADVICE[self.kind]}") from None

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Execute]:
        """A transaction, kept as a whole or not at all. Only one writes at a time, among all processes.

        Raises:
            ZerocostError: it failed; the message is the database's own.
        """
        try:
            with self.engine.connect() as connection:
                if write:
                    connection.exec_driver_sql(LOCK[self.kind])
                yield self.executor(connection)
                connection.commit()
        except SQLAlchemyError as error:
            raise ZerocostError(f"the database of scores says: {database_message(error)}") from None

    def executor(self, connection: Connection) -> Execute:
        """A function that executes statements on a connection."""

        def execute(statement: str, values: _Values | Sequence[_Values] | None = None, /) -> list[Any]:
            if isinstance(values, list) and not values:
                return []
            one = values if isinstance(values, Mapping) else {}
            lists: list[sa.BindParameter[Any]] = [
                sa.bindparam(name, expanding=True) for name, value in one.items() if isinstance(value, list)
            ]
            text = sa.text(statement.replace("{now}", _NOW[self.kind])).bindparams(*lists)
            result = connection.execute(text, values)
            return [tuple(row) for row in result] if result.returns_rows else []

        return execute

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _make_engine(url: URL) -> Engine:
    """The engine that connects. A database in memory has a single connection, which threads share in turn."""
    if url.get_backend_name() == "postgresql":
        try:
            return sa.create_engine(url, pool_pre_ping=True)
        except ImportError as error:
            raise MissingExtraError("PostgreSQL needs psycopg: pip install 'zerocost[postgres]'") from error
    single = {} if url.database else {"pool_size": 1, "max_overflow": 0}
    options = {"isolation_level": None, "timeout": LOCK_TIMEOUT, "check_same_thread": False}
    return sa.create_engine(url, poolclass=sa.QueuePool, connect_args=options, **single)


def use_write_ahead_log(sqlite: Engine) -> None:
    """Let a SQLite file be read while it is written, without losing data when a process dies.

    SQLite refuses to change a file to this mode while another process does the same, so try until it is done.
    """
    sa.event.listen(sqlite, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL"))
    late = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            with sqlite.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > late:
                raise
            time.sleep(0.05)


def database_message(error: SQLAlchemyError) -> str:
    """The database's own message, without the statement and the values."""
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    return said.splitlines()[0] if said else type(error).__name__
