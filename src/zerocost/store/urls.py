"""Where a database is: the path or URL that the user writes, and how it is displayed."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from zerocost.base.errors import InputError

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_EXPECTED = "expected a path, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"


def as_url(where: str | Path | None) -> URL:
    """The URL of a path, of a URL as text, or of memory for `None`: SQLite without a database name.

    Raises:
        InputError: any other text; the message never has the password.

    >>> as_url("scores.db").database, as_url("postgres://me:secret@here/scores").drivername
    ('scores.db', 'postgresql+psycopg')
    """
    if not isinstance(where, str | Path | None):
        raise InputError(f"a store of scores cannot be of type {type(where).__name__}; {_EXPECTED}")
    if where is not None and not str(where).strip():
        raise InputError(f"there is no name for the store of scores; {_EXPECTED}")
    if "\0" in str(where) or not _can_be_encoded(str(where)):
        raise InputError(f"the store {str(where)!r} has a character that no file name has; {_EXPECTED}")
    where = None if str(where) == ":memory:" else where
    if where is None or "://" not in str(where):
        return URL.create("sqlite", database=None if where is None else str(where))
    text = str(where)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InputError(
            f"the URL of the scores, {text.partition('://')[0]}://…, cannot be read; {_EXPECTED}"
        ) from None
    kind = url.get_backend_name() if "+" in url.drivername else url.drivername
    if kind not in _DRIVERS:
        raise InputError(f"scores cannot be kept in {kind}://…; {_EXPECTED}")
    if "@" in (url.host or ""):
        raise InputError("an @ in the user or password of a URL must be written %40")
    if kind == "sqlite" and url.host:
        raise InputError(f"sqlite://{url.host} names a host, which SQLite has none of; write sqlite:///{url.host}")
    memory = kind == "sqlite" and url.database in (None, "", ":memory:")
    return as_url(None) if memory else url.set(drivername=_DRIVERS[kind])


def _can_be_encoded(name: str) -> bool:
    """Whether a name is text that UTF-8 holds."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def display_url(url: URL) -> str:
    """A URL to display: the path of a file, or the URL without password and options.

    >>> display_url(as_url("scores.db")), display_url(as_url("postgresql://me:secret@here/scores?password=secret"))
    ('scores.db', 'postgresql://me:***@here/scores')
    """
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
