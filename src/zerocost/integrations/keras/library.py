"""Keras itself: imported when it is needed, on the torch backend unless the session has chosen another."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from zerocost.base.errors import InputError, MissingExtraError

SUFFIXES = (".keras", ".h5")


def import_keras() -> Any:
    """The module `keras`; the first import of a session gets the torch backend unless `KERAS_BACKEND` names another.

    Raises:
        MissingExtraError: Keras 3 or its backend is not installed.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        keras = importlib.import_module("keras")
    except (ImportError, ValueError) as error:
        if getattr(error, "name", None) == "keras":
            raise MissingExtraError(
                f"Keras models need the extra keras: pip install 'zerocost[keras]' ({error})"
            ) from error
        backend = os.environ["KERAS_BACKEND"]
        raise MissingExtraError(
            f"Keras cannot be imported on the backend that KERAS_BACKEND names, {backend} ({error}): "
            "install that backend, or set KERAS_BACKEND=torch"
        ) from error
    if not hasattr(keras, "StatelessScope"):
        raise MissingExtraError(f"needs Keras 3, this is {keras.__version__}: pip install 'zerocost[keras]'")
    return keras


def is_model(value: Any) -> bool:
    """Whether a value is a Keras model or layer. This does not import Keras: if there is a model, it is imported.

    >>> is_model("a string")
    False
    """
    layers = getattr(sys.modules.get("keras"), "layers", None)
    return layers is not None and isinstance(value, layers.Layer)


def load(path: str | Path) -> Any:
    """The model in a file that Keras saved, `.keras` or `.h5`, under any backend.

    Raises:
        InputError: the file is missing, or Keras cannot read it.
    """
    if Path(path).is_dir():
        raise InputError(
            f"{path} is a folder, as TensorFlow's SavedModel is; Keras 3 saves a model in one file: "
            "model.save('model.keras')"
        )
    if not Path(path).is_file():
        raise InputError(f"no such file: {path}")
    try:
        return import_keras().saving.load_model(path, compile=False)
    except MissingExtraError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be loaded as a Keras model: {describe_load_error(error)}") from error


def describe_load_error(error: Exception) -> str:
    """Why Keras could not load a model: the cause that ends its message, else the first line, without a config.

    >>> message = "not deserialized. \\n\\nException encountered: No class 'Own'. Full object config: {}"
    >>> describe_load_error(TypeError(message))
    "No class 'Own'."
    """
    cause = str(error).rpartition("Exception encountered: ")[2].strip() or type(error).__name__
    return cause.splitlines()[0].partition(" Full object config:")[0]
