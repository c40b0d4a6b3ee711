"""Keras 3: its models are scored as torch ones are, whatever backend the session runs on."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLACES = {
    "as_module": "zerocost.integrations.keras.module",
    "load": "zerocost.integrations.keras.library",
    "ZeroCostTuner": "zerocost.integrations.kerastuner",
    "filtered": "zerocost.integrations.autokeras",
}
__all__ = ["ZeroCostTuner", "as_module", "filtered", "load"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
