"""What is done while a database is locked or cannot be reached: wait, and try again for up to a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from zerocost.base.errors import ZerocostError

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds to try for."""
_PAUSE = 0.1
"""Seconds between two tries at first; each pause is a half longer, up to a second."""
_SQLITE_WAITS = ("database is locked", "database table is locked", "database schema is locked")
_NOT_AGAIN = ("28", "3D", "42", "53100", "57014", "57P05")
"""SQLSTATEs, or their first characters, of what does not pass: access, names, a full disk, a query that was stopped."""

_log = logging.getLogger(__name__)


def retry(work: Callable[[], T], name: object, patience: float | None = None) -> T:
    """What `work` returns, done again while the database is locked or cannot be reached.

    The first time, a warning is logged, which Python prints to stderr where nothing else is set up.

    Args:
        work: may be done again after it failed.
        name: of the database.
        patience: seconds to try for; `PATIENCE` if None.

    Raises:
        SQLAlchemyError: it failed for another reason.
        ZerocostError: the time is over.
    """
    limit = PATIENCE if patience is None else patience
    start, pause = time.monotonic(), _PAUSE
    while True:
        try:
            return work()
        except SQLAlchemyError as error:
            if not limit or not _passes(error):
                raise
            if time.monotonic() - start + pause > limit:
                raise ZerocostError(
                    f"{name} was tried for {limit:.0f} seconds, but {database_message(error)}; what was stored until "
                    "then is kept, and the same call goes on from there"
                ) from None
            if pause == _PAUSE:
                _log.warning("waiting up to %.0f s for %s: %s", limit, name, database_message(error))
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)


def _passes(error: SQLAlchemyError) -> bool:
    """Whether an error may be gone when the same is tried again: a lock, or a server that cannot be reached."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    code = getattr(error.orig, "sqlstate", "")
    if code == "":  # SQLite has none
        return any(words in str(error.orig) for words in _SQLITE_WAITS)
    return code is None or not code.startswith(_NOT_AGAIN)


def is_full(error: SQLAlchemyError) -> bool:
    """Whether the database could not write for lack of space; SQLite also needs some for the index of its log."""
    cause = getattr(error, "orig", None)
    full = getattr(cause, "sqlite_errorname", "") in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
    return full or getattr(cause, "sqlstate", "") == "53100"


def database_message(error: SQLAlchemyError) -> str:
    """The database's own message, without the statement and the values."""
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    return said.splitlines()[0] if said else type(error).__name__
