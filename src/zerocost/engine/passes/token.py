"""Token pass: one token on the meta device, its operations written down, to see which parameters it meets."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from zerocost.base.errors import Failure
from zerocost.engine.inputs import take_samples
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.signals import Signal
from zerocost.engine.tape.operations import Operation, Tape, Value, record

_PICKS = ("index", "index_select", "embedding")
"""Operators that read some rows of their first operand, which are all that they write."""


def _token(batch: PassInput) -> dict[str, Any]:
    """The parameters that the first token of the first sample meets; all of the sample, where a token does not run."""
    sample = take_samples(batch.inputs, 0, 1)
    try:
        tape = record(batch.network, _first_token(sample), batch.seed)
    except Failure:  # whole numbers that are no tokens, as the categories of a table
        tape = record(batch.network, sample, batch.seed)
    return {"active_count": _active_count(tape, batch.network.parameters)}


def _first_token(sample: Any) -> Any:
    """The first token of a sample of token ids 1×T, and of what goes with it, such as a mask; others stay whole.

    >>> import torch
    >>> _first_token({"input_ids": torch.ones(1, 5, dtype=torch.int64), "mask": torch.ones(1, 5)})["mask"].shape
    torch.Size([1, 1])
    """
    rows = [t for t in tree_leaves(sample) if isinstance(t, Tensor) and t.ndim == 2]
    lengths = {t.shape[1] for t in rows if not t.is_floating_point()}
    cut = len(lengths) == 1

    def first(value: Any) -> Any:
        is_row = cut and isinstance(value, Tensor) and value.ndim == 2 and value.shape[1] in lengths
        return value[:, :1] if is_row else value

    return tree_map(first, sample)


def _active_count(tape: Tape, parameters: dict[str, Tensor]) -> int:
    """How many numbers of the parameters a pass reads.

    Of stacked matrices, of three or more axes, those that are read count; of others all, and of the biases beside
    stacked matrices the same share.
    """
    known = {storage: parameters[name] for storage, name in tape.constants.items() if name in parameters}
    shapes = {storage: parameter.shape for storage, parameter in known.items()}
    parts: dict[int, dict[object, float]] = {}
    for operation in tape.operations:
        for value in operation.reads:
            if value.storage in shapes:
                read = _numbers_read(operation, value, shapes[value.storage])
                width = (1 + value.is_complex) / (1 + known[value.storage].is_complex())
                parts.setdefault(value.storage, {})[(value.offset, value.shape)] = read * width
    total, shares = 0.0, dict[tuple[str, int], float]()
    for storage in sorted(parts, key=lambda one: -len(shapes[one])):
        shape, module = shapes[storage], tape.constants[storage].rpartition(".")[0]
        size = prod(shape)
        if len(shape) >= 3 and shape[0] > 1:
            share = min(1.0, sum(parts[storage].values()) / max(size, 1))
            shares[module, shape[0]] = share
        else:
            share = shares.get((module, shape[0]), 1.0) if len(shape) == 2 else 1.0
        total += share * size
    return round(total)


def _numbers_read(operation: Operation, value: Value, shape: tuple[int, ...]) -> int:
    """How many numbers of a parameter an operation reads through a view of it."""
    if operation.name == "_grouped_mm" and len(value.shape) == 3:
        rows = operation.reads[0].shape[0]
        return prod(value.shape[1:]) * min(rows, value.shape[0])
    if operation.name in _PICKS and operation.reads[0].storage == value.storage:
        return min(prod(operation.writes[0].shape), prod(shape))
    return prod(value.shape)


add_pass(
    Pass(
        name="token",
        run=_token,
        order=2,
        description="one token, or one sample that is none, on the meta device",
        settings=frozenset(),
        by_sample=True,
        shapes_only=True,
    ),
    Signal("active_count", "number of parameters that one token meets: int"),
)
