"""Blocks pass: how a block scales what is sent back through it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.base.seeding import stream
from zerocost.engine.graph import check_whole
from zerocost.engine.largest import largest_singular_value
from zerocost.engine.passes.base import Pass, add_pass
from zerocost.engine.passes.shared_graph import SharedGraph
from zerocost.engine.signals import Signal
from zerocost.engine.watch.blocks import BlockMap, Blocks


def _blocks(graph: SharedGraph) -> dict[str, Any]:
    """Backward through each block, of random signs at its output."""
    check_whole(graph.outputs)
    maps = graph.observer.result(Blocks)
    return {"block_gains": maps if isinstance(maps, Failure) else block_gains(maps, graph.batch.seed)}


def block_gains(maps: Sequence[BlockMap], seed: int) -> list[Tensor]:
    """For each block but the first, the largest singular value of E[gᵢₙ gₒᵤₜᵀ], in float64.

    gₒᵤₜ are random signs at the block's output, gᵢₙ their gradient at its input, and the mean is over samples and
    positions of the output; where the block shrinks the map, the input's positions within one of the output's count as
    channels.
    """
    if len(maps) < 2:
        raise Failure("the network has fewer than two blocks")
    generator = stream(seed, "signs")
    found = []
    for before, after in reversed(list(pairwise(maps))):
        if not (before.tensor.requires_grad and after.tensor.requires_grad):
            raise Failure("no path from the weights to the output of a block")
        output = after.as_map(after.tensor)
        out = random_signs(output, generator)
        product = (output * out).sum()  # `grad_outputs` would import SymPy, which takes half a second
        (gradient,) = torch.autograd.grad(
            product, before.tensor, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        back = before.as_map(gradient)
        if back.shape == out.shape and torch.equal(back, out):
            raise Failure("a block hands its input on unchanged, for which the authors' code gives −∞")
        scaled = channels_in_rows(back, out.shape) @ _channels_last(out)
        found.append(largest_singular_value(scaled) / _count_positions(out))
    return found[::-1]


def random_signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """±1, each as likely, in the shape of a tensor."""
    bits = torch.randint(2, like.shape, generator=generator, dtype=like.dtype)
    return bits.mul_(2).sub_(1).to(like.device)


def _channels_last(found: Tensor) -> Tensor:
    """A map N×C×… as a matrix with a row for each sample and position, in float64."""
    return found.double().movedim(1, -1).flatten(0, -2)


def _count_positions(found: Tensor) -> int:
    """Number of samples times positions."""
    return found.numel() // found.shape[1]


def channels_in_rows(back: Tensor, shape: torch.Size) -> Tensor:
    """The gradient at a block's input as a matrix with a column for each sample and position of its output."""
    if back.shape[2:] != shape[2:] or len(back) != shape[0]:
        stride = back.shape[-1] // shape[-1] if back.ndim == 4 and shape[-1] else 0
        shrunk = len(shape) == 4 and stride and (shape[0], shape[2] * stride, shape[3] * stride)
        if shrunk != (len(back), *back.shape[2:]):
            raise Failure(
                f"a block turns maps of shape {tuple(back.shape)} into {tuple(shape)}, whose positions differ"
            )
        back = F.pixel_unshuffle(back, stride)
    return _channels_last(back).T


add_pass(
    Pass(
        name="blocks",
        run=_blocks,
        order=50,
        description="backward through each block, of random signs at its output",
        backwards=1,
        continues=("data",),
        on_graph=True,
        to_weights=True,
        watchers=(Blocks,),
    ),
    Signal("block_gains", "for each block, the largest singular value of E[gᵢₙ gₒᵤₜᵀ], gₒᵤₜ = ±1: scalars"),
)
