"""A worker process: it sets a function up once, then calls it with what it is asked, one call at a time.

Frames go over its standard input and output, each a pickled `bytes` in and a pickled `(value, error)` out.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import IO, Any

import torch

from zerocost.base.errors import Failure, InputError, ZerocostError, describe_error
from zerocost.base.user_code import load_object

_Answer = tuple[Any, ZerocostError | None]


def serve() -> None:
    """Answer until there are no more questions, as when the main process has ended; prints go to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115  as long as the process lives
    os.dup2(sys.stdin.fileno(), 0)
    os.dup2(2, 1)
    torch.set_num_threads(1)
    frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_frames, args=(questions, frames), daemon=True).start()
    try:
        function = _load(frames.get())
    except BaseException as error:  # noqa: BLE001  whatever the user's own code raises when it is imported
        reason = f"the networks or a proxy cannot be loaded in a worker process: {describe_error(error)}"
        _send(answers, (None, InputError(f"{reason}; workers=1 needs no other process")))
        return
    _send(answers, (None, None))
    while True:
        _send(answers, _call(function, pickle.loads(frames.get())))


def _read_frames(questions: IO[bytes], frames: queue.SimpleQueue[bytes]) -> None:
    """Read what is asked; end this process when nobody can ask any more, whatever it is doing."""
    try:
        while True:
            frames.put(pickle.load(questions))
    except (EOFError, pickle.UnpicklingError, OSError):
        os._exit(0)


def _load(frame: bytes) -> Callable[..., Any]:
    """The function to call: what is set up, after the user's own files are loaded as in the main process."""
    files, set_up = pickle.loads(frame)
    for file in files:
        load_object(f"{file}:__name__")
    function: Callable[..., Any] = pickle.loads(set_up)()
    return function


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> _Answer:
    """What the function returns, or the error that it raises."""
    try:
        return function(*arguments), None
    except ZerocostError as error:
        return None, error
    except KeyboardInterrupt as error:  # the network's own, for Ctrl-C does not come here
        return None, Failure(f"the network raised {describe_error(error)}")
    except BaseException as error:  # noqa: BLE001  it is raised in the main process
        told = ZerocostError(f"a worker process raised {describe_error(error)}")
        told.add_note(traceback.format_exc())
        return None, told


def _send(answers: IO[bytes], answer: _Answer) -> None:
    pickle.dump(answer, answers)
    answers.flush()
