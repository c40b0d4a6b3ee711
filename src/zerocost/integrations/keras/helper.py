"""A process on the torch backend that scores the models of a session whose Keras runs on TensorFlow or JAX."""

from __future__ import annotations

import atexit
import functools
import os
import pickle
import subprocess
import sys
import warnings
from importlib import import_module
from threading import Lock
from typing import IO, Any

from zerocost.errors import Failure, InputError, ZerocostError

BUSY = Lock()


def ask(backend: str, question: tuple[Any, ...]) -> Any:
    """The scores that the helper gives for `(path, modules, batches, plan, loss, seed)`, the modules being those that
    define the model's layers. It is started at the first question.

    Raises `InputError` when a proxy or loss cannot be sent, being defined where no other process finds it, and what
    scoring raised in the helper.
    """
    try:
        sent = pickle.dumps(question)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"the session's Keras runs on {backend}, so scoring runs in another process, where this cannot be sent: "
            f"{error}; define proxies and losses in a file that can be imported"
        ) from error
    with BUSY:
        process = helper(backend)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(sent)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
        except (BrokenPipeError, EOFError) as error:
            helper.cache_clear()
            raise Failure(f"the helper process ended with exit code {process.wait()}") from error
    if isinstance(answer, ZerocostError):
        raise answer
    return answer


@functools.cache
def helper(backend: str) -> subprocess.Popen[bytes]:
    """The process, one for a session; it ends with the session."""
    warnings.warn(f"Keras runs on {backend}: models are scored in a helper process, on the torch backend", stacklevel=2)
    paths = os.pathsep.join(path for path in sys.path if path)  # where the user's own modules are found
    process = subprocess.Popen(
        [sys.executable, "-c", "from zerocost.integrations.keras.helper import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH": paths},
    )
    atexit.register(end, process)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Let the helper end, which it does when nothing more can be asked."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
    if process.stdout is not None:
        process.stdout.close()


def serve() -> None:
    """Answer questions from stdin on stdout until there are no more; what is printed meanwhile goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        answer = answered(sys.stdin.buffer)
        if answer is None:
            return
        pickle.dump(answer, answers)
        answers.flush()


def answered(questions: IO[bytes]) -> Any:
    """A `ScoreCard`, or the error that says why there is none; None at the end."""
    from zerocost.integrations.keras.library import load
    from zerocost.integrations.keras.scoring import evaluate

    try:
        path, modules, batches, steps, loss, seed = pickle.load(questions)
        for module in modules:
            import_module(module)
    except EOFError:
        return None
    except Exception as error:  # noqa: BLE001  whatever the user's own code raises when it is imported
        return InputError(f"the helper process cannot find a layer, a proxy or the loss: {error}")
    try:
        return evaluate(load(path), batches, steps, loss, seed)
    except InputError as error:
        return Failure(str(error)) if "cannot be loaded" in str(error) else error
    except ZerocostError as error:
        return error
