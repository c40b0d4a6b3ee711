"""The contract test itself: each broken promise is caught and named."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from zerocost.base.fidelity import FULL
from zerocost.spaces import Architecture, ChoiceSpace, Choose, Fidelity
from zerocost.testing.spaces import check_space


def ask(choose: Choose) -> tuple[int, bool]:
    return choose.int("width", 8, 40, step=8), choose.bool("bias")


def build(choose: Choose, fidelity: Fidelity) -> nn.Module:
    width, bias = ask(choose)
    return nn.Linear(4, fidelity.channels(width), bias=bias)


class Sound(ChoiceSpace):
    """A space that keeps every promise; each class below breaks one."""

    def __init__(self, size: int = 10) -> None:
        super().__init__("sound", ask, build, size)


class LazyMutation(Sound):
    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        return arch


class LongMutation(Sound):
    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        return super().mutate(super().mutate(arch, rng), rng)


class OwnNeighbor(Sound):
    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        yield arch


class TwiceTheNeighbors(Sound):
    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        yield from super().neighbors(arch)
        yield from super().neighbors(arch)


class ForeignChild(Sound):
    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        return a if a == b else Architecture("width=9,bias=True", (("width", 9), ("bias", True)))


class GlobalRandomness(Sound):
    def sample(self, rng: np.random.Generator) -> Architecture:
        return super().sample(np.random.default_rng())


class TorchRandomness(Sound):
    def sample(self, rng: np.random.Generator) -> Architecture:
        torch.rand(1)
        return super().sample(rng)


class ForgetfulParse(Sound):
    def parse(self, text: str) -> Architecture:
        return super().parse(text.replace("True", "False"))


class BlindEncoding(Sound):
    def encode(self, arch: Architecture) -> np.ndarray:
        return super().encode(arch)[:1]


class RaggedEncoding(Sound):
    def encode(self, arch: Architecture) -> np.ndarray:
        return np.ones(len(str(arch)))


class Repeating(Sound):
    def __iter__(self) -> Iterator[Architecture]:
        yield from [*super().__iter__(), self.parse("width=8,bias=True")]


class Partial(Sound):
    def __iter__(self) -> Iterator[Architecture]:
        yield from list(super().__iter__())[:-1]


class Growing(Sound):
    def build(self, arch: Architecture, fidelity: Fidelity = FULL) -> nn.Module:
        return super().build(arch) if fidelity == FULL else nn.Linear(4, 100)


class Unseeded(Sound):
    def build(self, arch: Architecture, fidelity: Fidelity = FULL) -> nn.Module:
        network = super().build(arch, fidelity)
        generator = torch.Generator()
        generator.seed()
        nn.init.normal_(network.weight, generator=generator)
        return network


class Infinite(Sound):
    def build(self, arch: Architecture, fidelity: Fidelity = FULL) -> nn.Module:
        network = super().build(arch, fidelity)
        nn.init.constant_(network.weight, float("inf"))
        return network


def check(space: ChoiceSpace) -> None:
    check_space(space, torch.rand(3, 4), samples=10, fidelities=(Fidelity(width=0.5),))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (LazyMutation(), "a mutation leaves"),
        (LongMutation(), "is a mutant of .* but not a neighbour|a mutation leaves"),
        (OwnNeighbor(), "among its own neighbours"),
        (TwiceTheNeighbors(), "listed twice"),
        (GlobalRandomness(), "the same seed gives different architectures"),
        (TorchRandomness(), "torch's generator is used outside `build`"),
        (ForgetfulParse(), r"parse\('width=.*,bias=True'\) gives 'width=.*,bias=False'"),
        (BlindEncoding(), "have the same encoding"),
        (RaggedEncoding(), "shapes differ"),
        (Repeating(), "yields an architecture twice"),
        (Partial(9), "never yielded"),
        (Sound(11), "size is 11, but iteration yields 10"),
        (Growing(), "the output is"),
        (Unseeded(), "same seed, other weights"),
        (Infinite(), "an output is not finite"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ChoiceSpace) else "",
)
def test_a_broken_promise_is_named(broken: ChoiceSpace, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check(broken)


def test_a_child_outside_the_space_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width=9 .* is not an option"):
        check(ForeignChild())
