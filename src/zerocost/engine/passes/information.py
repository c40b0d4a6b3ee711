"""Information pass: the empirical Fisher information of one element of each parameter tensor."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointError

from zerocost.base.errors import Failure
from zerocost.base.format import plural
from zerocost.engine.failures import OneValue
from zerocost.engine.graph import as_dense, check_whole, differentiable_once
from zerocost.engine.inputs import clone_tensors, take_samples
from zerocost.engine.modes.call_mode import GroupNormMode
from zerocost.engine.modes.first_elements import FirstElementMode
from zerocost.engine.passes.base import BACKWARD_COUNT, Pass, PassInput, add_pass
from zerocost.engine.passes.shared_graph import check_finite
from zerocost.engine.signals import Signal

_ELEMENTS = 128
_SMOOTHING = 0.05
_CLASS_COST = 4
"""A backward pass for a class of a sample costs about as much as for this many elements of all samples."""


def _information(batch: PassInput) -> dict[str, Any]:
    """F = E[Jᵀ (diag(p) − p pᵀ) J]: J is the Jacobian of a sample's logits to the first element of each of the first
    128 parameter tensors, p their softmax, mixed with 5 % of the uniform distribution."""
    batch.network.check_real()
    if not batch.network.floating:
        raise Failure("the network has no parameters")
    try:
        return _measure_cheapest(batch)
    except OneValue:
        try:
            with GroupNormMode():
                return _measure_cheapest(batch)
        except OneValue as error:
            raise Failure(
                "samples run one by one, and BatchNorm has no variance of the one value a channel of a sample; use "
                "larger inputs, or running statistics and mode=eval"
            ) from error


def _measure_cheapest(batch: PassInput) -> dict[str, Any]:
    """The information, by the way that costs least."""
    by_element, together = _cheapest(batch)
    each = range(batch.samples + 1)
    if by_element:
        try:
            if together:
                with suppress(torch.OutOfMemoryError):
                    return _measure(batch, [0, batch.samples], by_element)
            return _measure(batch, each, by_element)
        except CheckpointError:
            pass  # a checkpointed part runs once more, and then as it is
    return _measure(batch, each, by_element=False)


def _measure(batch: PassInput, bounds: Sequence[int], by_element: bool) -> dict[str, Any]:
    """The information of the batch, cut at `bounds`."""
    tensors, wanted = _parameters(batch)
    total = torch.zeros(len(wanted), len(wanted), dtype=torch.float64, device=batch.network.device)
    backwards = 0
    with batch.network.fresh(batch.seed, batch.training):
        for start, stop in pairwise(bounds):
            if by_element:
                with FirstElementMode(wanted) as mode:
                    logits = _logits(batch, tensors, start, stop)
                jacobians, count = _element_by_element(logits, wanted, mode.steps), 1 + len(wanted)
            else:
                logits = _logits(batch, tensors, start, stop)
                jacobians, count = _class_by_class(logits[0], wanted)[None], logits.numel()
            backwards += count
            for row, jacobian in zip(logits.detach().double(), jacobians.double(), strict=True):
                p = (1 - _SMOOTHING) * row.softmax(0) + _SMOOTHING / len(row)
                mean = p @ jacobian
                total += jacobian.T @ (p[:, None] * jacobian) - mean[:, None] * mean
    return {"fisher_information": total / batch.samples, BACKWARD_COUNT: backwards}


def _cheapest(batch: PassInput) -> tuple[bool, bool]:
    """Whether to go backward for each element, not each class; and, if so, for all samples together.

    Samples go together in eval mode, where the first has the same logits beside the others as alone.
    """
    tensors, wanted = _parameters(batch)
    with batch.network.fresh(batch.seed, batch.training):
        alone = _logits(batch, tensors, 0, 1)
        if _CLASS_COST * alone.numel() <= len(wanted) or differentiable_once(alone):
            return False, False
        try:
            _element_by_element(alone, wanted[:1], [torch.zeros((), requires_grad=True)])
        except RuntimeError:  # a derivative that torch does not have
            return False, False
        try:
            with torch.no_grad():
                beside = _logits(batch, tensors, 0, batch.samples)
        except (torch.OutOfMemoryError, Failure):
            return True, False
    return True, not batch.training and torch.allclose(alone[0], beside[0], rtol=1e-3, atol=1e-5)


def _parameters(batch: PassInput) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Copies of the network's tensors, and those among them whose first element takes part."""
    tensors = batch.network.copies()
    names = [name for name in batch.network.floating if tensors[name].numel()]
    return tensors, [tensors[name].requires_grad_() for name in names[:_ELEMENTS]]


def _logits(batch: PassInput, tensors: dict[str, Tensor], start: int, stop: int) -> Tensor:
    """The logits of some samples."""
    outputs = check_finite(batch.network.run(tensors, clone_tensors(take_samples(batch.inputs, start, stop))))
    if outputs.ndim != 2 or outputs.shape[1] < 2 or len(outputs) != stop - start:
        samples = plural(stop - start, "sample")
        raise Failure(f"needs class logits N×C, the network returned shape {tuple(outputs.shape)} for {samples}")
    check_whole(outputs)
    if torch.is_grad_enabled() and not outputs.requires_grad:
        raise Failure("no path from the weights to the outputs")
    return outputs


def _element_by_element(logits: Tensor, wanted: Sequence[Tensor], steps: Sequence[Tensor]) -> Tensor:
    """The gradient of uᵀz is Jᵀu, whose derivative to u is J: a backward pass for each element, whatever the number
    of classes and samples. What depends on a weight's step depends on its first element."""
    u = torch.ones_like(logits, requires_grad=True)
    found = torch.autograd.grad(
        logits, [*wanted, *steps], u, create_graph=True, allow_unused=True, materialize_grads=True
    )
    columns: list[Tensor] = []
    for weight, step in zip(as_dense(found[: len(wanted)]), found[len(wanted) :], strict=True):
        first = weight.flatten()[0] + step + 0 * u.sum()
        columns += torch.autograd.grad(first, u, retain_graph=True)
    return torch.stack(columns, dim=-1)


def _class_by_class(outputs: Tensor, wanted: list[Tensor]) -> Tensor:
    """Jacobian of one sample's outputs to the first element of each tensor: a backward pass for each output."""
    rows = []
    for output in outputs:
        found = torch.autograd.grad(output, wanted, retain_graph=True, allow_unused=True, materialize_grads=True)
        rows.append(torch.stack([g.reshape(-1)[0] for g in as_dense(found)]))
    return torch.stack(rows)


add_pass(
    Pass(
        name="information",
        run=_information,
        order=100,
        description="backward of the outputs to one element of each parameter",
        forwards=1,
        backward_each="output of each sample, or for each element",
        by_sample=True,
    ),
    Signal("fisher_information", "Fisher information of one element of each parameter tensor: P×P"),
)
