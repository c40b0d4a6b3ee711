"""A worker process: it sets a function up once, then calls it with what it is asked, one call at a time.

Frames go over its standard input and output, each a pickled `bytes` in and a pickled `(value, error)` out.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import cloudpickle
import torch

from zerocost.base.errors import Failure, InputError, ZerocostError, describe_error
from zerocost.base.pool import Answer
from zerocost.base.user_code import load_object, loaded_files


class Function(NamedTuple):
    """How another process gets a function.

    Attributes:
        files: the user's files to load first.
        set_up: returns the function, pickled.
    """

    files: list[str]
    set_up: bytes

    @classmethod
    def of(cls, set_up: Callable[[], Callable[..., Any]]) -> Function:
        """Functions and classes of the main program, of a notebook or of other functions are sent by value.

        Raises:
            InputError: it cannot be sent to other processes.
        """
        try:
            sent = cloudpickle.dumps(set_up)
        except Exception as error:
            raise InputError(
                f"the networks, the data or a proxy cannot be sent to other processes ({describe_error(error)}): it "
                "holds what cannot leave its process, such as a lock, an open file or a generator; make that where it "
                "is used, or use workers=1"
            ) from error
        return cls([file for name, file in loaded_files().items() if name.encode() in sent], sent)


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
        function = load(pickle.loads(frames.get()))
    except InputError as error:
        _send(answers, (None, error))
        return
    _send(answers, (None, None))
    gc.freeze()  # what stays until the end need not be searched for garbage again and again
    while True:
        _send(answers, call(function, pickle.loads(frames.get())))


def _read_frames(questions: IO[bytes], frames: queue.SimpleQueue[bytes]) -> None:
    """Read what is asked; end this process when nobody can ask any more, whatever it is doing."""
    try:
        while True:
            frames.put(pickle.load(questions))
    except (EOFError, pickle.UnpicklingError, OSError):
        os._exit(0)


def load(given: Function) -> Callable[..., Any]:
    """The function to call: what is set up, after the user's own files are loaded as in the main process.

    Raises:
        InputError: it cannot be set up here.
    """
    try:
        for file in given.files:
            load_object(f"{file}:__name__")
        function: Callable[..., Any] = pickle.loads(given.set_up)()
    except BaseException as error:  # noqa: BLE001  whatever the user's own code raises when it is imported
        reason = f"the networks or a proxy cannot be loaded in a worker process: {describe_error(error)}"
        raise InputError(f"{reason}; workers=1 needs no other process") from None
    return function


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Answer:
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


def _send(answers: IO[bytes], answer: Answer) -> None:
    pickle.dump(answer, answers)
    answers.flush()
