"""The process on the torch backend that scores the models of a session whose Keras runs on TensorFlow or JAX."""

from __future__ import annotations

import os
import pickle
import sys
from importlib import import_module
from typing import IO, Any

from zerocost.base import user_code as files
from zerocost.base.errors import Failure, InputError, ZerocostError, describe_error
from zerocost.integrations.keras.helper import REMEDY
from zerocost.integrations.keras.library import describe_load_error, import_keras
from zerocost.integrations.keras.scoring import evaluate


def serve() -> None:
    """Answer questions from stdin on stdout until there are no more; what is printed goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        answer = _answer_question(sys.stdin.buffer)
        if answer is None:
            return
        pickle.dump(answer, answers)
        answers.flush()


def _answer_question(questions: IO[bytes]) -> Any:
    """A `ScoreCard`, or the error that says why there is none; None at the end."""
    try:
        path, modules, batches, steps, task, seed = pickle.load(questions)
    except EOFError:
        return None
    except Exception as error:  # noqa: BLE001  whatever the user's own code raises when it is imported
        return InputError(f"the helper process cannot find a proxy or the loss: {error}")
    missing = [why for name, file in modules.items() if (why := why_not_importable(name, file))]
    try:
        model = import_keras().saving.load_model(path, compile=False)
    except Exception as error:  # noqa: BLE001  whatever Keras or the user's own code raises
        reason = "; ".join([describe_load_error(error).partition(". Make sure")[0], *missing])
        return Failure(f"the model cannot be loaded in the helper process: {reason} {REMEDY}")
    try:
        return evaluate(model, batches, steps, task, seed)
    except ZerocostError as error:
        return error


def why_not_importable(name: str, file: str | None) -> str | None:
    """Why a module of the session cannot be imported here, by name or from its file; None if it can."""
    try:
        try:
            import_module(name)
        except ImportError:
            if file is None:
                raise
            files.load_object(f"{file}:__name__")
    except Exception as error:  # noqa: BLE001  whatever the user's own code raises when it is imported
        return f"importing {name} raised {describe_error(error)}"
    return None
