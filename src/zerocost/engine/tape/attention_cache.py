"""What attention keeps of each token so that later tokens need not compute it again: its keys and values."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import NamedTuple

from zerocost.engine.calls.functions import ATTENTION
from zerocost.engine.tape.operations import Operation, Tape, Value

_COPIES = ("clone", "_to_copy", "repeat", "index_select", "index", "cat", "constant_pad_nd")
_SOFTMAX = ("_softmax", "_safe_softmax", "_log_softmax", "exp", "sigmoid")
"""Operators that make weights of products, by themselves or before others."""


def cached_values(tape: Tape) -> Fraction:
    """Numbers a token: its keys and values in every attention, counted once where heads or queries share them.

    Attention is a call of torch's function, or a product with a tensor of samples, softmax, and a second product.

    >>> cached_values(Tape())
    Fraction(0, 1)
    """
    cache = _Cache(tape)
    if not any(operation.name in (ATTENTION, *_SOFTMAX) for operation in tape.operations):
        return cache.total
    for operation in tape.operations:
        cache.add(operation)
    return cache.total


class _Keys(NamedTuple):
    """Keys of an attention: what tells them from others, and how many numbers they are."""

    origin: object
    numbers: Fraction


class _Cache:
    """Follows keys from the product with the queries through softmax to the product with the values.

    Attributes:
        total: numbers a token so far.
    """

    def __init__(self, tape: Tape) -> None:
        self.total = Fraction(0)
        self.constants = tape.constants
        self.counted = set[object]()
        self.shares: dict[int, Fraction] = {}  # by storage, how much of it is no repetition
        self.origins: dict[int, object] = {}  # by storage that is a copy, what it is one of
        self.logits: dict[int, _Keys] = {}  # by storage that holds the products of queries and keys, the keys
        self.weights: dict[int, _Keys] = {}  # the same of what softmax makes of them

    def add(self, operation: Operation) -> None:
        """Follow what an operation writes."""
        reads, name = operation.reads, operation.name
        if name == ATTENTION:
            self._count(reads[1].shape[-2], self._keys(reads[1]), self._keys(reads[2]))
        elif name in ("bmm", "baddbmm"):
            left, right = reads[-2:]
            if left.storage in self.weights:
                self._count(right.shape[-2], self.weights[left.storage], self._keys(right))
            elif right.storage not in self.constants:
                self._mark(self.logits, operation, self._keys(right))
        elif name in _SOFTMAX and reads[0].storage in self.logits:
            self._mark(self.weights, operation, self.logits[reads[0].storage])
        elif operation.pointwise or name in _COPIES:
            self._pass_on(operation)

    def _keys(self, value: Value) -> _Keys:
        return _Keys(self._origin(value), self._distinct(value))

    def _origin(self, value: Value) -> object:
        return self.origins.get(value.storage, value.storage), value.offset

    def _count(self, tokens: int, keys: _Keys, values: _Keys) -> None:
        """Count keys and values, unless other queries have met them."""
        if (keys.origin, values.origin) not in self.counted:
            self.counted.add((keys.origin, values.origin))
            self.total += (keys.numbers + values.numbers) / max(tokens, 1)

    def _mark(self, marks: dict[int, _Keys], operation: Operation, keys: _Keys) -> None:
        marks |= dict.fromkeys((value.storage for value in operation.writes), keys)

    def _pass_on(self, operation: Operation) -> None:
        """What a pointwise operation or a copy writes is of the kind of what it reads."""
        for written in operation.writes:
            if operation.name in ("clone", "_to_copy") and operation.reads:
                self.origins[written.storage] = self._origin(operation.reads[0])
            for marks in (self.logits, self.weights):
                known = [marks[value.storage] for value in operation.reads if value.storage in marks]
                marks.update({written.storage: known[0]} if known else {})
            whole = [v for v in operation.reads if prod(v.shape) == prod(written.shape) or operation.name in _COPIES]
            distinct = max((self._distinct(value) for value in whole), default=Fraction(0))
            if distinct and operation.name != "cat":
                self.shares[written.storage] = min(Fraction(1), distinct / max(prod(written.shape), 1))
            elif operation.name == "cat":
                self.shares[written.storage] = max(self.shares.get(v.storage, Fraction(1)) for v in whole)

    def _distinct(self, value: Value) -> Fraction:
        """How many numbers of a tensor are no repetitions of others."""
        sizes = (size for size, stride in zip(value.shape, value.strides, strict=True) if stride)
        return prod(sizes) * self.shares.get(value.storage, Fraction(1))
