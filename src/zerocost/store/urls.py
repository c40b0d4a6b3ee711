"""Where a database is: a path or URL as the user writes it, and as it may be shown."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from zerocost.base.errors import InputError

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
EXPECTED = "expected a path, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"


def located(where: str | Path | None) -> URL:
    """The URL of a path, of a URL as text, or of memory for `None`: SQLite without a database name.

    Raises `InputError`, in which no password is shown, for any other text.

    >>> located("scores.db").database, located("postgres://me:secret@here/scores").drivername
    ('scores.db', 'postgresql+psycopg')
    """
    if where is None or "://" not in str(where):
        return URL.create("sqlite", database=None if where is None else str(where))
    text = str(where)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InputError(f"the URL of the scores, {text.partition('://')[0]}://…, cannot be read; {EXPECTED}") from None
    kind = url.get_backend_name() if "+" in url.drivername else url.drivername
    if kind not in DRIVERS:
        raise InputError(f"scores cannot be kept in {kind}://…; {EXPECTED}")
    if "@" in (url.host or ""):
        raise InputError("an @ in the user or password of a URL must be written %40")
    memory = kind == "sqlite" and url.database in (None, "", ":memory:")
    return located(None) if memory else url.set(drivername=DRIVERS[kind])


def shown(url: URL) -> str:
    """A URL for people: the path of a file, or a URL without password and options.

    >>> shown(located("scores.db")), shown(located("postgresql://me:secret@here/scores?password=secret"))
    ('scores.db', 'postgresql://me:***@here/scores')
    """
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
