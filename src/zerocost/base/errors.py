"""The errors of the library. Each message says what was got, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZerocostError(Exception):
    """Base of every error this library raises on purpose."""


class InputError(ZerocostError, ValueError):
    """What the caller gave cannot be used: a missing file, an unknown name, labels out of range."""


class MissingExtraError(ZerocostError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class Failure(ZerocostError):
    """A measurement is impossible for this model and batch; the message is the reason that the user sees."""


def describe_similar(name: str, known: Iterable[str], otherwise: str) -> str:
    """Up to five existing names similar to one that does not exist, for a message; else the text `otherwise`.

    >>> describe_similar("resnt18", ["resnet18", "vit"], "see the list")
    'it has resnet18'
    """
    near = difflib.get_close_matches(name, list(known), n=5)
    return f"it has {', '.join(near)}" if near else otherwise


def unknown(kind: str, name: object, known: Iterable[str]) -> InputError:
    """An `InputError` for a name that does not exist, with the nearest match.

    >>> unknown("proxy", "snipp", ["snip", "grasp"])
    InputError("unknown proxy 'snipp'; did you mean 'snip'? Known: grasp, snip.")
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return InputError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}.")


def describe_error(error: BaseException) -> str:
    """An error's class and the first line of its message."""
    return f"{type(error).__name__}: {first_line(error)}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip() or "(no message)").splitlines()[0]
