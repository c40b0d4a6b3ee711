"""Spaces of choices whose architectures are written in a benchmark's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from torch import nn

from zerocost.base.fidelity import Fidelity
from zerocost.spaces.architecture import Architecture, Value, check_architecture, check_text
from zerocost.spaces.choices import ChoiceSpace
from zerocost.spaces.choose import Choose

Choices = tuple[tuple[str, Value], ...]


class Code(NamedTuple):
    """How the architectures of a space are written.

    Attributes:
        write: from (name, value) pairs to the text.
        read: from a text back to the pairs, in the order they are asked; raises `InputError` for any other text.
        key: from a text to the key that twins share; the text itself by default.
    """

    write: Callable[[Choices], str]
    read: Callable[[str], Choices]
    key: Callable[[str], str] = str


class CodedSpace(ChoiceSpace):
    """A `ChoiceSpace` in which an architecture's text is a code: `"0120"` instead of `"a=0,b=1,c=2,d=0"`.

    Args:
        name: of the space.
        choose: asks for every choice; see `ChoiceSpace`.
        build: builds a network; see `ChoiceSpace`.
        size: number of architectures.
        code: how they are written.

    >>> def digits(choose):
    ...     return [choose.one_of(name, ("0", "1")) for name in "ab"]
    >>> def write(choices):
    ...     return "".join(str(value) for _, value in choices)
    >>> def read(code):
    ...     return tuple(zip("ab", code))
    >>> space = CodedSpace("demo", digits, lambda choose, fidelity: nn.Identity(), 4, Code(write, read))
    >>> [str(arch) for arch in space], space.parse("01").choices
    (['00', '01', '10', '11'], (('a', '0'), ('b', '1')))
    """

    def __init__(
        self,
        name: str,
        choose: Callable[[Choose], object],
        build: Callable[[Choose, Fidelity], nn.Module],
        size: int,
        code: Code,
    ) -> None:
        super().__init__(name, choose, build, size)
        self._write, self._read, self._key = code

    def sample(self, rng: np.random.Generator) -> Architecture:
        return self._in_code(super().sample(rng))

    def choose(self, choose: Choose) -> Architecture:
        return self._in_code(super().choose(choose))

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        return self._in_code(super().mutate(arch, rng))

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        return self._in_code(super().crossover(a, b, rng))

    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        return map(self._in_code, super().neighbors(arch))

    def __iter__(self) -> Iterator[Architecture]:
        return map(self._in_code, super().__iter__())

    def parse(self, text: str) -> Architecture:
        return Architecture(check_text(text), self._read(text))

    def canonical(self, arch: Architecture) -> str:
        return self._key(str(check_architecture(arch)))

    def _check_own(self, arch: Architecture) -> None:
        self._read(check_architecture(arch).text)

    def _in_code(self, arch: Architecture) -> Architecture:
        return Architecture(self._write(arch.choices), arch.choices)
