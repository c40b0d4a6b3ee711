"""The signs of activations' inputs: which samples share them, and how many patterns there are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.rows import sign_agreement
from zerocost.engine.watch.base import Call, Scene, Watcher, visible


class Activations(Watcher):
    """Base: hands over the signs of each activation's input, one boolean matrix N×units an activation."""

    def before(self, call: Call) -> None:
        if call.activates:
            visible(call.input)
            if id(call.input) not in self.scene.constants:
                self.see(self.scene.rows(call.input > 0).flatten(1))

    def see(self, code: Tensor) -> None:
        """Called with the signs of one activation."""
        raise NotImplementedError

    def some(self, seen: Any) -> Any:
        """What was seen, or the `Failure` that nothing was."""
        if seen is None:
            raise Failure("no activation was seen whose hinge is at zero (ReLU, GELU, SiLU and the like)")
        return seen


class Kernel(Activations):
    """For each pair of samples, in how many activations their signs agree; or the signs, when they are to be kept."""

    signal = "activation_kernel"

    def __init__(self, scene: Scene, keep_codes: bool = False) -> None:
        super().__init__(scene)
        self.codes: list[Tensor] | None = [] if keep_codes else None
        self.kernel: Tensor | None = None

    def see(self, code: Tensor) -> None:
        if self.codes is not None:
            self.codes.append(code)
        else:
            kernel = sign_agreement(code)
            self.kernel = kernel if self.kernel is None else self.kernel.add_(kernel)

    def found(self) -> Any:
        return self.some(self.kernel if self.codes is None else self.codes or None)


class Patterns(Activations):
    """How many different patterns of signs over the samples the units show."""

    signal = "pattern_count"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.words: list[Tensor] | None = None

    def see(self, code: Tensor) -> None:
        words = packed(code)
        different = words if len(words) > 1 else words[0].unique()[None]  # type: ignore[no-untyped-call]
        self.words = [*(self.words or []), different]

    def found(self) -> Any:
        return distinct(torch.cat(self.some(self.words), dim=1))


def packed(code: Tensor) -> Tensor:
    """Each column of a boolean matrix as whole numbers of 64 bits, a row for each 64 of its rows.

    >>> packed(torch.tensor([[True, False], [False, False], [True, True]]))
    tensor([[5, 4]])
    """
    return torch.stack([word(part) for part in code.split(64)])  # type: ignore[no-untyped-call]


def word(code: Tensor) -> Tensor:
    """Each column of a boolean matrix of at most 64 rows as one number; sums of 24 powers of 2 are exact in float32."""
    total = torch.zeros(code.shape[1], dtype=torch.int64, device=code.device)
    for place, part in enumerate(code.split(24)):  # type: ignore[no-untyped-call]
        powers = 2.0 ** torch.arange(len(part), device=code.device)
        total |= (powers @ part.float()).long() << (24 * place)
    return total


def distinct(words: Tensor) -> int:
    """Number of different columns.

    >>> distinct(torch.tensor([[1, 1, 2, 1], [5, 6, 5, 5]]))
    3
    """
    keys = words[0]
    for row in words[1:]:
        (_, first), (second_values, second) = (x.unique(return_inverse=True) for x in (keys, row))
        keys = first * len(second_values) + second
    return len(keys.unique())  # type: ignore[no-untyped-call]
