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
from zerocost.store.urls import located, shown

PATIENCE = 60.0
"""Seconds to wait while another process writes a SQLite file."""
LOCK = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(2053468015)"}
"""What makes a transaction the only one that writes, until it ends."""
NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)",
}
"""The database's clock, the same for all its users, in seconds."""
ADVICE = {
    "sqlite": "give the path of a file to make",
    "postgresql": "give postgresql://USER:PASSWORD@HOST/DATABASE of a server that runs",
}

Values = Mapping[str, Any]


class Run(Protocol):
    """Runs a statement in a transaction, once, or once for each of a list of values; gives the rows of a query.

    In a statement `:name` is a value (a list of values after `IN`), and `{now}` the database's clock.
    """

    def __call__(self, statement: str, values: Values | Sequence[Values] | None = None, /) -> list[Any]: ...


class Database:
    """Tables in SQLite (a path, sqlite:///FILE, memory for `None`) or PostgreSQL, made where they are missing.

    `name` is where it is, without the password, or `None` for memory; `shared`, whether other processes can open it.
    Raises `InputError` when it cannot be opened or its tables are others, `MissingExtraError` without the driver.
    """

    def __init__(self, where: str | Path | None, tables: Mapping[str, Sequence[str]]) -> None:
        url = located(where)
        self.kind = url.get_backend_name()
        self.shared = url.database is not None or self.kind != "sqlite"
        self.name = shown(url) if self.shared else None
        self.engine = engine(url)
        try:
            if self.kind == "sqlite":
                write_ahead(self.engine)
            with self.transaction(write=True) as run:
                for table, columns in tables.items():
                    run(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)})")
                    names = [column.split()[0] for column in columns if not column.startswith("PRIMARY KEY")]
                    run(f"SELECT {', '.join(names)} FROM {table} LIMIT 1")
        except (SQLAlchemyError, ZerocostError) as error:
            self.close()
            reason = str(error) if isinstance(error, ZerocostError) else first_line(error)
            raise InputError(f"cannot keep scores in {self.name}: {reason}; {ADVICE[self.kind]}") from None

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Run]:
        """A transaction, kept as a whole or not at all. Of those that write there is one at a time, in all processes.

        Raises `ZerocostError` with the database's own words when it fails.
        """
        try:
            with self.engine.connect() as connection:
                if write:
                    connection.exec_driver_sql(LOCK[self.kind])
                yield self.runner(connection)
                connection.commit()
        except SQLAlchemyError as error:
            raise ZerocostError(f"the database of scores says: {first_line(error)}") from None

    def runner(self, connection: Connection) -> Run:
        """What runs statements on a connection."""

        def run(statement: str, values: Values | Sequence[Values] | None = None, /) -> list[Any]:
            if isinstance(values, list) and not values:
                return []
            one = values if isinstance(values, Mapping) else {}
            lists: list[sa.BindParameter[Any]] = [
                sa.bindparam(name, expanding=True) for name, value in one.items() if isinstance(value, list)
            ]
            text = sa.text(statement.replace("{now}", NOW[self.kind])).bindparams(*lists)
            result = connection.execute(text, values)
            return [tuple(row) for row in result] if result.returns_rows else []

        return run

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def engine(url: URL) -> Engine:
    """What connects. A database in memory lives in one connection, which threads take turns to use."""
    if url.get_backend_name() == "postgresql":
        try:
            return sa.create_engine(url, pool_pre_ping=True)
        except ImportError as error:
            raise MissingExtraError("PostgreSQL needs psycopg: pip install 'zerocost[postgres]'") from error
    single = {} if url.database else {"pool_size": 1, "max_overflow": 0}
    options = {"isolation_level": None, "timeout": PATIENCE, "check_same_thread": False}
    return sa.create_engine(url, poolclass=sa.QueuePool, connect_args=options, **single)


def write_ahead(sqlite: Engine) -> None:
    """Let a SQLite file be read while it is written; what is in it survives the end of any process.

    The change of a file is refused, without waiting, while others have it open for the first time as well.
    """
    sa.event.listen(sqlite, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL"))
    late = time.monotonic() + PATIENCE
    while True:
        try:
            with sqlite.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > late:
                raise
            time.sleep(0.05)


def first_line(error: SQLAlchemyError) -> str:
    """What the database said, without the statement and the values."""
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    return said.splitlines()[0] if said else type(error).__name__
