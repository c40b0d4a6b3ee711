"""Tangents pass: the empirical neural tangent kernel of the summed outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.graph import check_sum
from zerocost.engine.inputs import clone_tensors
from zerocost.engine.modes.linear_factors import Factors, LinearCalls, gradients_to
from zerocost.engine.passes.base import BACKWARD_COUNT, Pass, PassInput, add_pass
from zerocost.engine.passes.shared_graph import check_finite
from zerocost.engine.signals import Signal

_PIECE = 2**14  # weights whose gradients are multiplied at a time: few enough for the cache


def _tangents(batch: PassInput) -> dict[str, Any]:
    """Inner products of the gradients of each sample's summed outputs to weight matrices and normalisation scales.

    The samples run together, so that in train mode BatchNorm ties each sample's gradient to the others.
    """
    network = batch.network
    network.check_real()
    tensors = network.copies()
    names = [n for n in network.floating if n in network.weight_names or n.endswith("weight")]
    wanted = [tensors[name].requires_grad_() for name in names]
    if not wanted:
        raise Failure("the network has no weights")
    with network.fresh(batch.seed, batch.training):
        with LinearCalls() as calls:
            outputs = check_finite(network.run(tensors, clone_tensors(batch.inputs)))
        if outputs.shape[:1] != (batch.samples,) or not outputs.requires_grad:
            raise Failure("no path from the weights to the outputs, one row a sample")
        check_sum(outputs)
        of = outputs.reshape(batch.samples, -1).sum(1)
        sources = calls.sources(of, wanted)
        found = [gradients_to(value, sources, retain_graph=True) for value in of]
    kernels = [_kernel(of_one) for of_one in zip(*found, strict=True)]
    return {"tangent_kernel": torch.stack(kernels).sum(0), BACKWARD_COUNT: len(found)}


def _kernel(found: Sequence[Tensor | Factors]) -> Tensor:
    """Inner products of all pairs of gradients to one weight, N×N in float64.

    Those of δᵢᵀx and δⱼᵀx, which share x, are those of δᵢ and (xxᵀ)δⱼ.
    """
    factors = [gradient for gradient in found if isinstance(gradient, Factors)]
    if not factors:
        return inner_products([gradient.reshape(-1) for gradient in found if isinstance(gradient, Tensor)])
    x = factors[0].inputs.double()
    deltas = torch.stack([factor.outputs for factor in factors]).double()
    return deltas.flatten(1) @ ((x @ x.T) @ deltas).flatten(1).T


def inner_products(rows: list[Tensor]) -> Tensor:
    """Inner products of all pairs of rows, N×N in float64, a piece of the rows at a time.

    >>> inner_products([torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])])
    tensor([[5., 2.],
            [2., 1.]], dtype=torch.float64)
    """
    total = rows[0].new_zeros(len(rows), len(rows), dtype=torch.float64)
    for pieces in zip(*(torch.split(row, _PIECE) for row in rows), strict=True):
        piece = torch.stack(pieces).double()
        total += piece @ piece.T
    return total


add_pass(
    Pass(
        name="tangents",
        run=_tangents,
        order=90,
        description="backward of each sample's summed outputs to the weights",
        forwards=1,
        backward_each="sample",
    ),
    Signal("tangent_kernel", "inner products of the samples' gradients of their summed outputs: N×N, float64"),
)
