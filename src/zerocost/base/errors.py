"""The errors of the library. Each message says what was got, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 1000
_NEAREST = 3
"""Names that a message proposes in place of one that does not exist."""


class ZerocostError(Exception):
    """Base of every error this library raises on purpose."""


class InputError(ZerocostError, ValueError):
    """What the caller gave cannot be used: a missing file, an unknown name, labels out of range."""


class MissingExtraError(ZerocostError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class DiskFullError(ZerocostError, OSError):
    """Something could not be written because the disk, or the quota, is full."""


class Failure(ZerocostError):
    """A measurement is impossible for this model and batch; the message is the reason that the user sees."""

    def without_frames(self) -> Failure:
        """Itself, to be kept: a frame would keep the maps of the network until garbage is collected."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


def describe_nearest(name: object, known: Iterable[object], see: str = "") -> str:
    """The three existing names nearest to one that does not exist, and how to list all, as a part of a message.

    Args:
        name: what was given.
        known: the names that exist.
        see: what lists them all; without it, or where there are at most three, all of them are named.

    >>> describe_nearest("SNIPP", ["snip", "grasp", "synflow", "zen"], "zc.proxies.names()")
    "did you mean 'snip', 'grasp' or 'synflow'? zc.proxies.names() lists all 4"
    >>> describe_nearest("evel", ["train", "eval"])
    "did you mean 'eval'? Known: eval, train"
    """
    names = {str(one).lower(): str(one) for one in sorted(map(str, known))}
    wanted = str(name).lower()
    short = not see or len(names) <= _NEAREST
    near = difflib.get_close_matches(wanted, names, n=1 if short else _NEAREST, cutoff=0.6 if short else 0.0)
    close = difflib.get_close_matches(wanted, near[:1])
    *others, last = [repr(names[one]) for one in near] or [""]
    joined = f"{', '.join(others)}{' or ' if close else ' and '}{last}" if others else last
    hint = f"did you mean {joined}? " if close else f"the nearest are {joined}. " if near else ""
    return hint + (f"Known: {', '.join(names.values()) or 'none'}" if short else f"{see} lists all {len(names):,}")


def unknown(kind: str, name: object, known: Iterable[object], see: str = "") -> InputError:
    """An `InputError` for a name that does not exist, with the nearest ones that do, as `describe_nearest` has them.

    >>> unknown("method", "rank", ["log_rank", "vote"])
    InputError("unknown method 'rank'; did you mean 'log_rank'? Known: log_rank, vote")
    """
    hint = describe_nearest(name, known, see)
    return InputError(f"unknown {kind} {name!r}{'; ' if hint[0].islower() else '. '}{hint}")


def describe_error(error: BaseException) -> str:
    """An error's class and the first line of its message."""
    return f"{type(error).__name__}: {first_line(error)}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, shortened, in characters that can be written anywhere.

    >>> first_line(ValueError("half a \\ud800 pair")), len(first_line(ValueError("x" * 10_000)))
    ('half a \\\\ud800 pair', 1000)
    """
    try:
        text = str(error).strip()
    except Exception:  # noqa: BLE001  errors of others may fail to say what they are
        text = ""
    line = (text or "(no message)").splitlines()[0]
    line = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
    return line.encode(errors="backslashreplace").decode()
