"""The tables of a score store, and how those that an older version wrote become today's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zerocost.base.errors import InputError
from zerocost.base.whole import is_whole

if TYPE_CHECKING:
    from zerocost.store.database import Execute

_TABLES = {
    "jobs": ("id BIGINT PRIMARY KEY", "made TEXT NOT NULL UNIQUE", "about TEXT NOT NULL"),
    "scores": (
        *("job BIGINT NOT NULL", "architecture TEXT NOT NULL", "seed BIGINT NOT NULL", "proxy TEXT NOT NULL"),
        *("value DOUBLE PRECISION", "reason TEXT", "PRIMARY KEY (job, architecture, seed, proxy)"),
    ),
    "claims": (
        *("made TEXT", "architecture TEXT", "seed BIGINT", "owner TEXT"),
        "PRIMARY KEY (made, architecture, seed)",
    ),
    "owners": ("owner TEXT PRIMARY KEY", "machine TEXT", "pid BIGINT", "born TEXT", "beat DOUBLE PRECISION"),
    "layout": ("version BIGINT",),
}
"""What each table holds. `jobs` says once what scores depend on; `layout` has the one row that says which tables."""


def prepare(execute: Execute) -> None:
    """Make the tables that are missing, or today's of those that an older version wrote; nothing in them is lost.

    Raises:
        InputError: a newer version wrote them, or something else.
    """
    execute("CREATE TABLE IF NOT EXISTS layout (version BIGINT)")
    written = execute("SELECT version FROM layout")
    newest = len(_MIGRATIONS) + 1
    version = written[0][0] if written else 1 if execute("SELECT name FROM {tables} WHERE name = 'scores'") else newest
    if not is_whole(version):
        raise InputError(f"its table layout holds {version!r}; expected the whole number of a layout, {newest} or less")
    if version > newest:
        raise InputError(
            f"a newer version of zerocost wrote it, with tables of layout {version}, but this one knows up to "
            f"{newest}; upgrade zerocost, or use another store"
        )
    for migrate in _MIGRATIONS[version - 1 :]:
        migrate(execute)
    _make_tables(execute)
    if not written:
        execute("INSERT INTO layout (version) VALUES (:newest)", {"newest": newest})
    elif version < newest:
        execute("UPDATE layout SET version = :newest", {"newest": newest})


def _make_tables(execute: Execute) -> None:
    """Make the tables that are missing, and see that the others have these columns."""
    for table, columns in _TABLES.items():
        execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)})" + "{clustered}" * (table == "scores"))
        names = [column.split()[0] for column in columns if not column.startswith("PRIMARY KEY")]
        execute(f"SELECT {', '.join(names)} FROM {table} LIMIT 1")


def _name_jobs_once(execute: Execute) -> None:
    """From layout 1, in which each score repeated what it depends on."""
    execute("SELECT made, architecture, seed, proxy, value, reason FROM scores LIMIT 1")
    execute("ALTER TABLE scores RENAME TO scores_1")
    _make_tables(execute)
    execute(
        "INSERT INTO jobs (id, made, about) "
        "SELECT row_number() OVER (ORDER BY made), made, '' FROM (SELECT DISTINCT made FROM scores_1) AS found"
    )
    execute(
        "INSERT INTO scores (job, architecture, seed, proxy, value, reason) "
        "SELECT id, architecture, seed, proxy, value, reason FROM scores_1 JOIN jobs ON jobs.made = scores_1.made"
    )
    execute("DROP TABLE scores_1")


_MIGRATIONS: tuple[Callable[[Execute], None], ...] = (_name_jobs_once,)
"""The first makes layout 2 of layout 1, and so on. One is added when the tables change."""
