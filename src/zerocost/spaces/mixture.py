"""A space's mixture: a super-network in which every choice is a weighted sum over its options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import itemgetter
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from zerocost.base.fidelity import FULL, Fidelity
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.choose import Options

Weights = Mapping[str, Tensor]
"""For each choice, by name, the weight of each option; in a one-hot vector, the option that is taken."""


class Mixed(nn.Module):
    """The sum of several operations on one input, each times its weight in `weights`."""

    def __init__(self, operations: Iterable[nn.Module]) -> None:
        super().__init__()
        self.operations = nn.ModuleList(operations)
        self.weights = torch.ones(len(self.operations))

    def forward(self, x: Tensor) -> Tensor:
        terms = [w * operation(x) for w, operation in zip(self.weights, self.operations, strict=True)]
        total: Tensor = reduce(torch.add, terms)
        return total


class Mixture(nn.Module):
    """A super-network of all architectures of a space: `mixture(inputs, weights)` gives outputs N×classes.

    With one-hot weights it computes what the architecture of these options computes, with the same parameters.

    Args:
        network: the super-network, whose edges are `Mixed`.
        options: the options of each choice; every architecture has all choices.
        edges: for each kind of edge, its `Mixed` modules and a function from the weights of the choices to theirs.
    """

    def __init__(
        self,
        network: nn.Module,
        options: Mapping[str, Options],
        edges: Sequence[tuple[Sequence[Mixed], Callable[[Weights], Tensor]]],
    ) -> None:
        super().__init__()
        self.network = network
        self.options = dict(options)
        self.edges = edges

    def forward(self, inputs: Tensor, weights: Weights) -> Tensor:
        for mixed, coefficients in self.edges:
            values = coefficients(weights)
            for edge in mixed:
                edge.weights = values
        outputs: Tensor = self.network(inputs)
        return outputs


@runtime_checkable
class Mixable(Protocol):
    """A space that can build a mixture.

    `mixture(fidelity)` returns a module with `options`, a dictionary from the name of each choice to its options as
    `choose` asks them, that is called with inputs and, by the same names, a vector of weights for each choice. Initial
    weights come from torch's generator, which the caller seeds.
    """

    def mixture(self, fidelity: Fidelity = FULL) -> Mixture: ...


def superpose(networks: Sequence[nn.Module], edges: Mapping[str, str]) -> dict[str, list[Mixed]]:
    """Put into the first network, at each path of `edges`, a `Mixed` of what all networks have at that path.

    Args:
        networks: one for each operation, the same but for the edges; the first is changed.
        edges: path of a submodule → name of the choice it stands for.

    Returns:
        The `Mixed` of each choice.

    >>> a, b = (nn.Sequential(nn.Identity(), operation) for operation in (nn.ReLU(), nn.Tanh()))
    >>> superpose([a, b], {"1": "activation"})
    {'activation': [Mixed(
      (operations): ModuleList(
        (0): ReLU()
        (1): Tanh()
      )
    )]}
    >>> a(torch.ones(1))
    tensor([1.7616])
    """
    found: dict[str, list[Mixed]] = {}
    for path, name in edges.items():
        mixed = Mixed([network.get_submodule(path) for network in networks])
        networks[0].set_submodule(path, mixed)
        found.setdefault(name, []).append(mixed)
    return found


def mixture_of_edges(networks: Sequence[nn.Module], options: Options, edges: Mapping[str, str]) -> Mixture:
    """The mixture of a space in which every choice is the operation of an edge, all with the same options.

    Args:
        networks: for each option, the network of the cell with this operation everywhere. All but the edges is taken
            from the first, which is changed.
        options: the operations.
        edges: path of a submodule → name of the choice it stands for.
    """
    mixed = superpose(networks, edges)
    return Mixture(
        networks[0],
        dict.fromkeys(mixed, options),
        [(group, itemgetter(name)) for name, group in mixed.items()],
    )


def one_hot(mixture: Mixture, arch: Architecture) -> dict[str, Tensor]:
    """The weights with which the mixture computes an architecture."""
    answers = dict(arch.choices)
    return {
        name: torch.tensor([float(option == answers[name]) for option in options])
        for name, options in mixture.options.items()
    }
