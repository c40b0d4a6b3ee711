"""Ctrl-C while the shell command is loading, reads its options or has ended: it ends at once, with one line, as
nothing is to be kept."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


@contextmanager
def exits_at_interrupt() -> Iterator[None]:
    """While the block runs, Ctrl-C ends the shell command; in any other program it does what it always does.

    An exception would not do: it could come in the middle of an import, and be taken for a package that is not there.
    """
    before = signal.getsignal(signal.SIGINT)
    if _is_command():
        exit_at_interrupt()
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is _exit:
            signal.signal(signal.SIGINT, before)


def exit_at_interrupt() -> None:
    """From now on Ctrl-C ends this process at once, unless it does something else than to raise `KeyboardInterrupt`."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _exit)


def raise_at_interrupt() -> None:
    """From now on Ctrl-C raises `KeyboardInterrupt` again, where it would end the process at once."""
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interrupt() -> None:
    """From now on Ctrl-C does nothing, where it would end the process at once."""
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _exit(_number: int, _frame: FrameType | None) -> None:
    """End the process with one line."""
    with suppress(OSError):
        os.write(2, b"error: interrupted\n")
    os._exit(INTERRUPTED)


def _is_command() -> bool:
    """Whether this process is `zerocost`, or `python -m zerocost`."""
    given = sys.orig_argv
    module = given[given.index("-m") + 1 : given.index("-m") + 2] if "-m" in given else []
    return module == ["zerocost"] or Path(sys.argv[0] if sys.argv else "").stem == "zerocost"
