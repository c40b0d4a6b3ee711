"""The passes that share one graph: data, loss, curvature and jacobian, on the batch or a part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from zerocost.engine.graph import dense, differentiable_once, gradients
from zerocost.engine.inputs import cloned, count, cut, leaves
from zerocost.engine.network import Network
from zerocost.engine.observe import Observer
from zerocost.engine.signals import SIGNALS
from zerocost.errors import Failure, InputError

Loss = Callable[[Tensor, Tensor], Tensor]
IGNORED = -100  # the label that torch's cross-entropy leaves out


@dataclass(frozen=True)
class Batch:
    """What the passes on the batch run on: a network, samples (all or some of them), and the signals wanted."""

    network: Network
    inputs: Any
    targets: Tensor | None
    loss: Loss
    wanted: frozenset[str]
    seed: int

    @property
    def samples(self) -> int:
        """Number of samples."""
        return count(self.inputs)

    def slice(self, start: int, stop: int, wanted: frozenset[str]) -> Batch:
        """The samples from `start` up to `stop`."""
        targets = None if self.targets is None else self.targets[start:stop]
        return replace(self, inputs=cut(self.inputs, start, stop), targets=targets, wanted=wanted)

    def wants(self, *passes: str) -> bool:
        """Whether a signal of these passes is wanted."""
        return any(SIGNALS[name].source in passes for name in self.wanted)


class Part:
    """A batch run whole or in part: the graph that its passes share."""

    inputs: Any
    tensors: dict[str, Tensor]
    outputs: Tensor
    weights: list[Tensor]
    value: Tensor
    gradients: tuple[Tensor, ...]

    def __init__(self, batch: Batch, keep_codes: bool = False, direction: Sequence[Tensor] | None = None) -> None:
        self.batch = batch
        self.direction = direction
        network = batch.network
        self.observer = Observer(batch.samples, batch.wanted, keep_codes, network.tokens_first, network.originals)
        self.jacobian_follows = batch.wants("jacobian")
        self.curvature_follows = batch.wants("curvature")
        self.loss_follows = batch.wants("loss", "curvature")
        self.noisy = False


def data(part: Part) -> dict[str, Any]:
    """Forward on the batch, with a graph for the passes that follow."""
    batch, network, observer = part.batch, part.batch.network, part.observer
    graph = part.loss_follows or part.jacobian_follows
    part.inputs = leaves(batch.inputs) if graph else batch.inputs
    part.tensors = network.copies()
    if part.loss_follows:
        for name in network.weight_names:
            part.tensors[name].requires_grad_()
    observer.constants = frozenset(map(id, part.tensors.values()))
    with torch.set_grad_enabled(graph):
        given = cloned(part.inputs)
        with observer:
            outputs = network.run(part.tensors, given)
    if outputs.ndim == 0 or len(outputs) != batch.samples:
        raise Failure(
            f"the network returned shape {tuple(outputs.shape)} for {batch.samples} samples; "
            "the first axis must be the samples"
        )
    if not outputs.isfinite().all():
        raise Failure(
            f"the outputs are not finite: activations overflow {str(outputs.dtype).removeprefix('torch.')}, "
            "or the weights are not numbers"
        )
    part.outputs = outputs
    return {"outputs": part.outputs.detach(), "activation_kernel": observer.activations()}


def loss(part: Part) -> dict[str, Any]:
    """Backward of the mean loss to the weight matrices; its graph is kept when other passes follow."""
    if part.batch.targets is None:
        raise Failure("needs labels: give the batch as (inputs, labels)")
    part.weights = part.batch.network.matrices(part.tensors)
    part.value = part.batch.loss(part.outputs, part.batch.targets)
    if not isinstance(part.value, Tensor) or part.value.numel() != 1:
        got = f"shape {tuple(part.value.shape)}" if isinstance(part.value, Tensor) else type(part.value).__name__
        raise InputError(f"the loss must return a tensor with one number, the mean over the samples, but got {got}")
    if not part.value.requires_grad:
        raise Failure("no path from the weights to the loss")
    if not part.value.isfinite().all():
        raise Failure(f"the loss is {part.value.detach().item()}")
    follow = part.curvature_follows or part.jacobian_follows
    with part.observer.listening():
        part.gradients = gradients(part.value, part.weights, create_graph=part.curvature_follows, retain_graph=follow)
    if not any(bool(g.any()) for g in part.gradients):
        raise Failure("no path from the weights to the loss: every gradient is zero")
    return {
        "loss": part.value.detach(),
        "weight_gradients": [g.detach() for g in part.gradients],
        "channel_saliency": part.observer.channels(),
    }


def curvature(part: Part) -> dict[str, Any]:
    """Backward through the loss pass's graph: the Hessian times the gradient, which is held constant."""
    obstacle = differentiable_once(part.value)
    if obstacle:
        raise Failure(f"the loss has no second derivative: {obstacle} can be differentiated once only")
    direction = part.direction or [g.detach() for g in part.gradients]
    curved = [(g, d) for g, d in zip(part.gradients, direction, strict=True) if g.requires_grad]
    if not curved:
        raise Failure("the loss has no second derivative with respect to the weights")
    products = torch.autograd.grad(
        [g for g, _ in curved],
        part.weights,
        [d for _, d in curved],
        retain_graph=part.jacobian_follows,
        allow_unused=True,
        materialize_grads=True,
    )
    return {"hessian_gradients": [p.detach() for p in dense(products)]}


def jacobian(part: Part) -> dict[str, Any]:
    """Backward of the summed outputs to the input, one row a sample."""
    inputs = [t for t in tree_leaves(part.inputs) if isinstance(t, Tensor) and t.requires_grad]
    if not inputs:
        raise Failure("the input is not floating-point: there is no derivative to it")
    if not part.outputs.requires_grad:
        raise Failure("no path from input to output: the outputs do not depend on the input")
    rows = gradients(part.outputs.sum(), inputs)
    return {"input_jacobian": torch.cat([r.reshape(len(r), -1) for r in rows], dim=1)}


PASSES: dict[str, Callable[[Part], dict[str, Any]]] = {
    "data": data,
    "loss": loss,
    "curvature": curvature,
    "jacobian": jacobian,
}


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of logits N×C×… and class labels N×…, with labels checked first.

    Raises `InputError` for labels that are not classes of the outputs.
    """
    if targets.is_floating_point() or targets.is_complex():
        raise InputError(
            f"labels are {targets.dtype}, cross-entropy needs integer classes; for other targets pass loss=, "
            "for example torch.nn.functional.mse_loss"
        )
    if outputs.ndim < 2 or not outputs.shape[1]:
        raise Failure(f"cross-entropy needs outputs N×classes, the network returned shape {tuple(outputs.shape)}")
    classes, expected = outputs.shape[1], (len(outputs), *outputs.shape[2:])
    if tuple(targets.shape) != expected:
        raise InputError(
            f"labels of shape {tuple(targets.shape)} do not fit outputs of shape {tuple(outputs.shape)}: "
            f"expected one class a sample, shape {expected}"
        )
    counted = targets[targets != IGNORED]
    if not len(counted):
        raise InputError(f"all labels are {IGNORED}, which cross-entropy leaves out")
    wrong = counted[(counted < 0) | (counted >= classes)]
    if len(wrong):
        raise InputError(
            f"labels out of range: found {int(wrong[0])}, but the network has {classes} outputs, "
            f"so labels must be 0 to {classes - 1}"
        )
    return torch.nn.functional.cross_entropy(outputs, targets.long())
