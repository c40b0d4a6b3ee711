"""Readings: signals of the model or the batch that take no pass. Each is a function with its signal's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.failures import NO_VALUES
from zerocost.engine.model.network import Network
from zerocost.engine.signals import SOURCES, Signal, Source, declare

MODEL = Source("model", -2, frozenset({"initialisation"}), by_sample=True)
BATCH = Source("batch", -1, frozenset({"samples"}), by_sample=True)
SOURCES.update({source.name: source for source in (MODEL, BATCH)})
READINGS: dict[str, Callable[[Any], Any]] = {}


def reading(source: Source, meaning: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Declare a function as the reading of the signal of its name.

    Args:
        source: `MODEL` for a function of the `Network`, `BATCH` for one of the labels.
        meaning: what the signal is, with its shape.
    """

    def register(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        READINGS[function.__name__] = function
        declare(source.name, function.__module__, Signal(function.__name__, meaning))
        return function

    return register


@reading(MODEL, "number of parameters, tied ones once, frozen and unused ones too: int")
def parameter_count(network: Network) -> int:
    return sum(p.numel() for p in network.parameters.values())


@reading(MODEL, "the same without the tables of embedding layers: int")
def non_embedding_count(network: Network) -> int:
    return sum(p.numel() for p in network.parameters.values() if id(p) not in network.embeddings)


@reading(MODEL, "number of parameter tensors, biases and scales included: int")
def parameter_tensors(network: Network) -> int:
    return len(network.parameters)


@reading(
    MODEL, "weight matrices (two or more axes, no normalisation layer), tied ones once, frozen and unused too: tensors"
)
def weights(network: Network) -> list[Tensor]:
    if network.valueless:
        raise Failure(NO_VALUES)
    return network.matrices({name: p.detach().clone() for name, p in network.parameters.items()})


@reading(BATCH, "the labels of the batch: N")
def labels(targets: Tensor | None) -> Tensor:
    if targets is None:
        raise Failure("needs labels: give the batch as (inputs, labels)")
    return targets
