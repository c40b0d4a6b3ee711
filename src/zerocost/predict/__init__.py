"""Surrogates: predict accuracy from scores and structure once a few architectures are trained."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zerocost.predict.belief import Belief, learn
    from zerocost.predict.estimators import ESTIMATORS
    from zerocost.predict.features import Features
    from zerocost.predict.front import next_for_front
    from zerocost.predict.graph import graph_features
    from zerocost.predict.surrogate import Surrogate
    from zerocost.predict.validation import Validation

__all__ = ["ESTIMATORS", "Belief", "Features", "Surrogate", "Validation", "graph_features", "learn", "next_for_front"]

_MODULES = {
    "Belief": "belief",
    "ESTIMATORS": "estimators",
    "Features": "features",
    "Surrogate": "surrogate",
    "Validation": "validation",
    "graph_features": "graph",
    "learn": "belief",
    "next_for_front": "front",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, and scikit-learn with it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
