"""Hyperparameters drawn at random: those that different models of a KerasTuner search are built with."""

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

TRIES = 100
"""Proposals in a row that may bring nothing new."""


def draw_proposals(tuner: Any, count: int, seed: int) -> list[dict[str, Any]]:
    """The values that different models are built with, drawn at random: so many, or all there are.

    A draw depends on the seed, its place and the names alone, not on what the tuner knew of the space before.
    """
    found: list[dict[str, Any]] = []
    idle = 0
    for key in (f"{seed} {place}" for place in itertools.count()):
        if len(found) == count or idle == TRIES:
            break
        values = draw_values(tuner.oracle, key).values
        if not any(known.items() <= values.items() for known in found):
            values = draw_used_values(tuner, key)
            if values not in found:
                found.append(values)
                idle = 0
                continue
        idle += 1
    return found


def draw_used_values(tuner: Any, key: str) -> dict[str, Any]:
    """The values drawn at random of the hyperparameters that building the model asks for.

    Those that only the building brings to light are made known to the tuner's oracle and drawn too, as often as that
    brings more to light. What a build does not ask for makes no other model of it and is left out.
    """
    while True:
        space = draw_values(tuner.oracle, key)
        size = len(space.space)
        seen = space.values = UsedValues(space.values)
        with suppress(Failure, InputError):
            initialise(partial(build_at, tuner, space))
        tuner.oracle.update_space(space)
        if len(tuner.oracle.get_space().space) == size:
            return {name: seen[name] for name in sorted(seen.names)}


class UsedValues(dict[str, Any]):
    """Values that remember which of them were asked for.

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
    """A tuner's untrained model of some values."""
    return build_at(tuner, draw_values(tuner.oracle, values_name(values), values))


def build_at(tuner: Any, space: Any) -> Any:
    """A tuner's model at a point of its space, as in a fresh session, so that AutoKeras's blocks keep their names.

    Raises `Failure` for a model of more trainable parameters than the tuner's `max_model_size`.
    """
    import_keras().utils.clear_session(free_memory=False)
    model, most = tuner._build_hypermodel(space), tuner.max_model_size
    size = sum(math.prod(weight.shape) for weight in model.trainable_weights) if most and model.built else 0
    if most and size > most:
        raise Failure(f"{size} trainable parameters are more than max_model_size={most}")
    return model


def draw_values(oracle: Any, key: str, values: dict[str, Any] | None = None) -> Any:
    """The space that an oracle knows, at some values; every other active one is drawn at random, by key and name."""
    space = oracle.get_space()
    space.values = dict(values or {})
    for one in space.space:
        if space.is_active(one) and one.name not in space.values:
            space.values[one.name] = one.random_sample(f"{key} {one.name}")
    return space


def name_proposals(proposals: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Proposals by names made of the values that are not the same in all of them.

    >>> list(name_proposals([{"block/width": 8, "block/act": "relu"}, {"block/width": 16, "block/act": "relu"}]))
    ['width=8', 'width=16']
    """
    keys = {key for values in proposals for key in values}
    telling = [key for key in keys if len({values.get(key) for values in proposals}) > 1] or keys
    short = {key: shortest_ending(key, keys) for key in telling}
    return {values_name({short[key]: values[key] for key in telling if key in values}): values for values in proposals}


def shortest_ending(path: str, paths: Iterable[str]) -> str:
    """The end of a path, of as few parts as tell it from the other paths.

    >>> [shortest_ending(path, ["block_1/width", "block_2/width", "rate"]) for path in ("block_1/width", "rate")]
    ['block_1/width', 'rate']
    """
    parts = path.split("/")
    ends = ["/".join(parts[place:]) for place in reversed(range(len(parts)))]
    return next((end for end in ends if sum(f"/{other}".endswith(f"/{end}") for other in paths) == 1), path)


def values_name(values: dict[str, Any]) -> str:
    """A name made of hyperparameter values.

    >>> values_name({"width": 8, "act": "relu"})
    'act=relu, width=8'
    """
    return ", ".join(f"{name}={values[name]}" for name in sorted(values))
