"""What a process has one of besides torch's state: put back after code of others has run."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


def _directory() -> Path | None:
    """The working directory; None where it is gone."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _change_directory(path: Path | None) -> None:
    if path is not None:
        os.chdir(path)


def _set_environment(variables: Mapping[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


def _handle_interrupt(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGINT, handler)


def _streams() -> list[tuple[str, Any, bool]]:
    """The standard streams, and whether each is closed."""
    return [(name, stream, getattr(stream, "closed", True)) for name in _STREAMS for stream in [getattr(sys, name)]]


def _set_streams(streams: Sequence[tuple[str, Any, bool]]) -> None:
    for name, stream, closed in streams:
        own = stream is getattr(sys, f"__{name}__")
        setattr(sys, name, _opened_again(name, stream) if own and not closed and stream.closed else stream)


def _opened_again(name: str, stream: Any) -> Any:
    """A standard stream that was closed, as another one to its file, which is open still."""
    number, mode = _STREAMS[name]
    opened = open(number, mode, encoding=stream.encoding, errors=stream.errors, closefd=False)  # noqa: SIM115
    setattr(sys, f"__{name}__", opened)
    return opened


_STREAMS = {"stdin": (0, "r"), "stdout": (1, "w"), "stderr": (2, "w")}
State = Sequence[tuple[Callable[[], Any], Callable[[Any], object]]]
"""How some values are read and set, one after the other."""
_PROCESS: State = (
    (_directory, _change_directory),
    (lambda: dict(os.environ), _set_environment),
    (_streams, _set_streams),
    (np.geterr, lambda errors: np.seterr(**errors)),
    (np.get_printoptions, lambda options: np.set_printoptions(**options)),
    (gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (lambda: signal.getsignal(signal.SIGINT), _handle_interrupt),
)


@contextmanager
def kept(state: State) -> Iterator[None]:
    """Values that are afterwards as before; only what has changed is set."""
    before = [get() for get, _ in state]
    try:
        yield
    finally:
        for (get, put), value in zip(state, before, strict=True):
            if get() != value:
                put(value)


@contextmanager
def kept_process() -> Iterator[None]:
    """The working directory, the environment, the standard streams, numpy's handling of errors and its print options,
    garbage collection, the recursion limit and the handler of Ctrl-C are afterwards as before.

    >>> before = Path.cwd()
    >>> with kept_process():
    ...     os.chdir("/")
    >>> Path.cwd() == before
    True
    """
    with kept(_PROCESS):
        yield
