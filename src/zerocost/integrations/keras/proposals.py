"""Random hyperparameters: those that different models of a KerasTuner search are built with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from zerocost.base.errors import Failure, InputError
from zerocost.integrations.keras.library import import_keras
from zerocost.scoring.candidates import initialise

_TRIES = 100
"""Draws in a row without anything new, after which the search for more ends."""


def draw_proposals(tuner: Any, count: int, seed: int) -> list[dict[str, Any]]:
    """Draw the hyperparameters of `count` different models, or of all if there are fewer.

    A draw depends on the seed, its place and the names alone, not on what the tuner knew of the space before.
    """
    found: list[dict[str, Any]] = []
    idle = 0
    for key in (f"{seed} {place}" for place in itertools.count()):
        if len(found) == count or idle == _TRIES:
            break
        values = draw_values(tuner.oracle, key).values
        if not any(known.items() <= values.items() for known in found):
            values = _draw_used_values(tuner, key)
            if values not in found:
                found.append(values)
                idle = 0
                continue
        idle += 1
    return found


def _draw_used_values(tuner: Any, key: str) -> dict[str, Any]:
    """Draw the hyperparameters that building the model uses.

    Hyperparameters that are found only while building are added to the tuner's oracle and drawn too, until no more are
    found. Those that a build does not use do not change the model and are left out.
    """
    while True:
        space = draw_values(tuner.oracle, key)
        size = len(space.space)
        used = space.values = UsedValues(space.values)
        with suppress(Failure, InputError):
            initialise(partial(_build_at, tuner, space))
        tuner.oracle.update_space(space)
        if len(tuner.oracle.get_space().space) == size:
            return {name: used[name] for name in sorted(used.names)}


class UsedValues(dict[str, Any]):
    """Hyperparameter values that remember which of them were read.

    >>> values = UsedValues(width=8, depth=2)
    >>> values["width"], values.names
    (8, {'width'})
    """

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        self.names.add(name)
        return value


def build_model(tuner: Any, values: dict[str, Any]) -> Any:
    """A tuner's untrained model with some values."""
    return _build_at(tuner, draw_values(tuner.oracle, values_name(values), values))


def _build_at(tuner: Any, space: Any) -> Any:
    """A tuner's model at a point of its space, as in a new session, so that AutoKeras's blocks keep their names.

    Raises:
        Failure: the model has more trainable parameters than the tuner's `max_model_size`.
    """
    import_keras().utils.clear_session(free_memory=False)
    model, most = tuner._build_hypermodel(space), tuner.max_model_size
    size = sum(math.prod(weight.shape) for weight in model.trainable_weights) if most and model.built else 0
    if most and size > most:
        raise Failure(f"{size} trainable parameters are more than max_model_size={most}")
    return model


def draw_values(oracle: Any, key: str, values: dict[str, Any] | None = None) -> Any:
    """The space that an oracle knows, at some values; every other active one is drawn at random by key and name."""
    space = oracle.get_space()
    space.values = dict(values or {})
    for one in space.space:
        if space.is_active(one) and one.name not in space.values:
            space.values[one.name] = one.random_sample(f"{key} {one.name}")
    return space


def name_proposals(proposals: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name proposals after the values in which they differ.

    >>> list(name_proposals([{"block/width": 8, "block/act": "relu"}, {"block/width": 16, "block/act": "relu"}]))
    ['width=8', 'width=16']
    """
    keys = {key for values in proposals for key in values}
    differing = [key for key in keys if len({values.get(key) for values in proposals}) > 1] or keys
    short = {key: _shortest_ending(key, keys) for key in differing}
    return {
        values_name({short[key]: values[key] for key in differing if key in values}): values for values in proposals
    }


def _shortest_ending(path: str, paths: Iterable[str]) -> str:
    """The shortest end of a path that no other path has.

    >>> [_shortest_ending(path, ["block_1/width", "block_2/width", "rate"]) for path in ("block_1/width", "rate")]
    ['block_1/width', 'rate']
    """
    parts = path.split("/")
    ends = ["/".join(parts[place:]) for place in reversed(range(len(parts)))]
    return next((end for end in ends if sum(f"/{other}".endswith(f"/{end}") for other in paths) == 1), path)


def values_name(values: dict[str, Any]) -> str:
    """A name for hyperparameter values.

    >>> values_name({"width": 8, "act": "relu"})
    'act=relu, width=8'
    """
    return ", ".join(f"{name}={values[name]}" for name in sorted(values))
