"""Has the models of a session whose Keras runs on TensorFlow or JAX scored by a process on the torch backend."""

from __future__ import annotations

import atexit
import functools
import os
import pickle
import subprocess
import sys
import warnings
from threading import Lock
from typing import Any

from zerocost.base.errors import Failure, InputError, ZerocostError

_LOCK = Lock()
REMEDY = (
    "(layers and functions of your own are found there if they are defined in a module that can be imported, and "
    "registered with keras.saving.register_keras_serializable)"
)


def ask_helper(backend: str, question: tuple[Any, ...]) -> Any:
    """Have the helper score a model. The helper is started at the first question, and again if it has ended.

    Args:
        backend: of the session's Keras.
        question: `(path, modules, batches, plan, task, seed)`; the modules are those that define the user's own layers
            and functions in the model, by name, each with its file.

    Raises:
        InputError: a proxy or loss cannot be sent because no other process can import it.
        ZerocostError: what scoring raised in the helper.
    """
    try:
        sent = pickle.dumps(question)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"the session's Keras runs on {backend}, so scoring runs in another process, where this cannot be sent: "
            f"{error}; define proxies and losses in a file that can be imported"
        ) from error
    with _LOCK:
        try:
            answer = _exchange(_helper_process(backend), sent)
        except (BrokenPipeError, EOFError):
            answer = _ask_new_helper(backend, sent)
    if isinstance(answer, ZerocostError):
        raise answer
    return answer


def _ask_new_helper(backend: str, sent: bytes) -> Any:
    """The answer of a new helper, after the last one has ended."""
    process = _helper_process(backend)
    try:
        return _exchange(process, sent)
    except (BrokenPipeError, EOFError) as error:
        raise Failure(
            f"the helper process ended with exit code {process.wait()}, and so did another; it may lack memory"
        ) from error


def _exchange(process: subprocess.Popen[bytes], sent: bytes) -> Any:
    """Send a question and receive its answer. A helper that was interrupted in between is ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(sent)
        process.stdin.flush()
        return pickle.load(process.stdout)
    except BaseException:
        _helper_process.cache_clear()
        process.kill()
        raise


@functools.cache
def _helper_process(backend: str) -> subprocess.Popen[bytes]:
    """The helper process, one for a session; it ends with the session."""
    warnings.warn(f"Keras runs on {backend}: models are scored in a helper process, on the torch backend", stacklevel=2)
    paths = os.pathsep.join(path for path in sys.path if path)  # where the user's own modules are found
    process = subprocess.Popen(
        [sys.executable, "-c", "from zerocost.integrations.keras.helper_process import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH": paths},
    )
    atexit.register(_end_helper, process)
    return process


def _end_helper(process: subprocess.Popen[bytes]) -> None:
    """End the helper by closing its input."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
    if process.stdout is not None:
        process.stdout.close()
