"""What every space of architectures can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import nn

from zerocost.base.errors import InputError
from zerocost.base.fidelity import FULL, Fidelity
from zerocost.spaces.architecture import Architecture, check_architecture

if TYPE_CHECKING:
    from zerocost.spaces.choose import Choose

Vector = npt.NDArray[np.float64]


class SearchSpace(ABC):
    """A set of architectures that can be drawn, changed, compared, written down and built.

    Every random step takes a `numpy.random.Generator` and uses no other randomness, so the same generator state gives
    the same architectures. Only `build` uses torch's generator. `zerocost.testing.spaces.check_space` tests a subclass.

    Attributes:
        name: of the space.
        size: how many architectures iteration yields; None if unknown.
        built_for: the sizes of inputs and outputs that a shipped space was given by `spaces.get`.
    """

    name: str
    size: int | None = None
    built_for: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw an architecture; every architecture has a positive probability."""

    @abstractmethod
    def choose(self, choose: Choose) -> Architecture:
        """The architecture that the answers of `choose` make; an Optuna trial can give the answers, for instance.

        With the answers `dict(arch.choices)` it is `arch`.

        Raises:
            InputError: answers that make no architecture.
        """

    @abstractmethod
    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        """Every architecture one step from `arch`, lazily, each once, `arch` itself left out."""

    @abstractmethod
    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        """Draw one of `neighbors(arch)`; raises `InputError` if the space has no other architecture."""

    @abstractmethod
    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """Draw an architecture that takes each choice from `a` or `b`, where that is possible."""

    @abstractmethod
    def encode(self, arch: Architecture) -> Vector:
        """A vector of the same length for every architecture of the space, its entries in [0, 1] where possible.

        Architectures with different `canonical` keys have different vectors.
        """

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """The architecture whose `str` is `text`; raises `InputError` with the reason for any other text."""

    @abstractmethod
    def build(self, arch: Architecture, fidelity: Fidelity = FULL) -> nn.Module:
        """The untrained network; initial weights come from torch's generator, which the caller seeds.

        Args:
            arch: an architecture of this space.
            fidelity: below full it gives a sibling with fewer channels (`width`) and layers (`depth`) that accepts
                images of `fidelity.resolution`. Spaces of choices and those that are shipped also take its text.

        Raises:
            InputError: `arch` is not of this space, or the space cannot be scaled.
        """

    @abstractmethod
    def __iter__(self) -> Iterator[Architecture]:
        """Every architecture once, lazily, always in the same order."""

    def canonical(self, arch: Architecture) -> str:
        """A key that twins share: architectures whose networks compute the same family of functions."""
        return str(check_architecture(arch))


def check_sizes(name: str, classes: int, in_channels: int) -> None:
    """`InputError` for a space of networks without outputs or inputs."""
    if classes < 1 or in_channels < 1:
        raise InputError(
            f"space {name} needs classes >= 1 and in_channels >= 1, but got classes={classes}, "
            f"in_channels={in_channels}"
        )


def distinct(space: SearchSpace, n: int, rng: np.random.Generator) -> list[Architecture]:
    """Draw `n` architectures of different `canonical` keys; all of them if the space has fewer.

    When 100 draws in a row bring nothing new, few are left, and the rest is taken in the order of the space.

    Args:
        space: the space.
        n: number of architectures.
        rng: the only source of randomness.

    >>> from zerocost.spaces import from_function
    >>> space = from_function(lambda choose: nn.Linear(choose.int("width", 1, 4), 1), "linear")
    >>> sorted(str(a) for a in distinct(space, 10, np.random.default_rng(0)))
    ['width=1', 'width=2', 'width=3', 'width=4']
    """
    found: dict[str, Architecture] = {}
    repeats = 0
    while len(found) < n and repeats < 100:
        arch = space.sample(rng)
        repeats = repeats + 1 if space.canonical(arch) in found else 0
        found.setdefault(space.canonical(arch), arch)
    rest = iter(space) if len(found) < n else iter(())
    for arch in rest:
        found.setdefault(space.canonical(arch), arch)
        if len(found) == n:
            break
    return list(found.values())
