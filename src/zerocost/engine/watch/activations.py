"""The signs of activations' inputs: which samples share them, and how many patterns there are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.failures import NO_ACTIVATION
from zerocost.engine.rows import sign_agreement
from zerocost.engine.watch.base import Scene, Watcher, check_visible, remove


class ActivationSigns(Watcher):
    """Base: hands over the signs of each activation's input, one boolean matrix N×units an activation."""

    def before(self, call: Call) -> Undo | None:
        if not call.is_activation:
            return None
        check_visible(call.input)
        signs = self.scene.rows(call.input, call.input > 0)
        return None if signs is None else self.add(signs.flatten(1))

    def add(self, signs: Tensor) -> Undo:
        """Called with the signs of one activation; returns how to undo that."""
        raise NotImplementedError


def merge_signs(parts: Sequence[Sequence[Tensor]], _: Sequence[float]) -> Tensor:
    """The activation kernel of a whole batch out of its parts' signs."""
    return torch.stack([sign_agreement(torch.cat(signs)) for signs in zip(*parts, strict=True)]).sum(0)


class ActivationKernel(ActivationSigns):
    """For each pair of samples, in how many activations their signs agree; of a part of a batch, the signs."""

    signal = "activation_kernel"
    meaning = "for each pair of samples, the activations that agree in sign: N×N, float64"
    merge = staticmethod(merge_signs)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.signs: list[Tensor] = []
        self.kernel: Tensor | None = None
        self.count = 0

    def add(self, signs: Tensor) -> Undo:
        if self.scene.in_parts:
            self.signs.append(signs)
            return partial(remove, self.signs, signs)
        kernel = sign_agreement(signs)
        self.count += 1
        self.kernel = kernel.clone() if self.kernel is None else self.kernel.add_(kernel)
        return partial(self.subtract, kernel)

    def subtract(self, kernel: Tensor) -> None:
        """Take the share of an activation out of the kernel; exact, as its numbers are whole."""
        assert self.kernel is not None
        self.count -= 1
        self.kernel.sub_(kernel)

    def result(self) -> Any:
        if not self.count and not self.signs:
            raise Failure(NO_ACTIVATION)
        return self.signs or self.kernel


class UnitPatterns(ActivationSigns):
    """The patterns of signs over the samples that the units of each activation show."""

    signal = "unit_patterns"
    meaning = "for each activation the sign patterns of its units, as words of 64 samples: ⌈N/64⌉×patterns"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.words: list[Tensor] = []

    def add(self, signs: Tensor) -> Undo:
        words = pack_columns(signs)
        different = words if len(words) > 1 else words[0].unique()[None]  # type: ignore[no-untyped-call]
        self.words.append(different)
        return partial(remove, self.words, different)

    def result(self) -> Any:
        if not self.words:
            raise Failure(NO_ACTIVATION)
        return self.words


class SignPatterns(UnitPatterns):
    """How many different patterns of signs over the samples the units show."""

    signal = "pattern_count"
    meaning = "number of different sign patterns that units show over the samples: int"

    def result(self) -> int:
        return count_columns(torch.cat(super().result(), dim=1))


def pack_columns(signs: Tensor) -> Tensor:
    """Each column of a boolean matrix as whole numbers of 64 bits, a row for each 64 of its rows.

    >>> pack_columns(torch.tensor([[True, False], [False, False], [True, True]]))
    tensor([[5, 4]])
    """
    return torch.stack([_pack_64_rows(part) for part in signs.split(64)])  # type: ignore[no-untyped-call]


def _pack_64_rows(signs: Tensor) -> Tensor:
    """Each column of a boolean matrix of at most 64 rows as one number; sums of 24 powers of 2 are exact in float32."""
    total = torch.zeros(signs.shape[1], dtype=torch.int64, device=signs.device)
    for place, part in enumerate(signs.split(24)):  # type: ignore[no-untyped-call]
        powers = 2.0 ** torch.arange(len(part), dtype=torch.float32, device=signs.device)
        total |= (powers @ part.float()).long() << (24 * place)
    return total


def count_columns(words: Tensor) -> int:
    """Number of different columns.

    >>> count_columns(torch.tensor([[1, 1, 2, 1], [5, 6, 5, 5]]))
    3
    """
    keys = words[0]
    for row in words[1:]:
        (_, first), (second_values, second) = (x.unique(return_inverse=True) for x in (keys, row))
        keys = first * len(second_values) + second
    return len(keys.unique())  # type: ignore[no-untyped-call]
