"""The passes that share one graph: data, loss, curvature and jacobian, on the batch or a part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from zerocost.engine.network import Network
from zerocost.engine.observe import Observer
from zerocost.engine.signals import SIGNALS
from zerocost.errors import Failure, InputError

Loss = Callable[[Tensor, Tensor], Tensor]


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
        """Length of the inputs' first axis."""
        return next(len(t) for t in tree_leaves(self.inputs) if isinstance(t, Tensor))

    def slice(self, start: int, stop: int, wanted: frozenset[str]) -> Batch:
        """The samples from `start` up to `stop`."""

        def cut(value: Any) -> Any:
            return value[start:stop] if isinstance(value, Tensor) else value

        return replace(self, inputs=tree_map(cut, self.inputs), targets=cut(self.targets), wanted=wanted)


class Part:
    """A batch run whole or in part: the graph that its passes share."""

    inputs: Any
    tensors: dict[str, Tensor]
    outputs: Tensor
    weights: list[Tensor]
    gradients: tuple[Tensor, ...]

    def __init__(self, batch: Batch, keep_codes: bool = False, direction: Sequence[Tensor] | None = None) -> None:
        self.batch = batch
        self.direction = direction
        self.observer = Observer(batch.samples, batch.wanted, keep_codes)
        self.jacobian_follows = "input_jacobian" in batch.wanted
        self.curvature_follows = "hessian_gradients" in batch.wanted
        self.loss_follows = any(SIGNALS[name].source in ("loss", "curvature") for name in batch.wanted)
        self.noisy = False


def data(part: Part) -> dict[str, Any]:
    """Forward on the batch, with a graph for the passes that follow."""
    batch, observer = part.batch, part.observer
    part.inputs = tree_map(differentiable, batch.inputs) if part.jacobian_follows else batch.inputs
    part.tensors = batch.network.copies(differentiable=part.loss_follows)
    with torch.set_grad_enabled(part.loss_follows or part.jacobian_follows), observer:
        part.outputs = batch.network.run(part.tensors, part.inputs)
    if part.outputs.ndim == 0 or len(part.outputs) != batch.samples:
        raise Failure(
            f"the network returned shape {tuple(part.outputs.shape)} for {batch.samples} samples; "
            "the first axis must be the samples"
        )
    return {"outputs": part.outputs.detach(), "activation_kernel": observer.activations()}


def loss(part: Part) -> dict[str, Any]:
    """Backward of the mean loss to the weight matrices; its graph is kept when other passes follow."""
    if part.batch.targets is None:
        raise Failure("needs labels: give the batch as (inputs, labels)")
    part.weights = part.batch.network.differentiable(part.tensors)
    value = part.batch.loss(part.outputs, part.batch.targets)
    if not value.requires_grad:
        raise Failure("no path from the weights to the loss")
    part.gradients = torch.autograd.grad(
        value,
        part.weights,
        create_graph=part.curvature_follows,
        retain_graph=part.curvature_follows or part.jacobian_follows,
        allow_unused=True,
        materialize_grads=True,
    )
    part.observer.release()
    return {
        "loss": value.detach(),
        "weight_gradients": [g.detach() for g in part.gradients],
        "channel_saliency": part.observer.channels(),
    }


def curvature(part: Part) -> dict[str, Any]:
    """Backward through the loss pass's graph: the Hessian times the gradient, which is held constant."""
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
    return {"hessian_gradients": [p.detach() for p in products]}


def jacobian(part: Part) -> dict[str, Any]:
    """Backward of the summed outputs to the input, one row a sample."""
    inputs = [t for t in tree_leaves(part.inputs) if isinstance(t, Tensor) and t.requires_grad]
    if not inputs:
        raise Failure("the input is not floating-point: there is no derivative to it")
    if not part.outputs.requires_grad:
        raise Failure("no path from input to output: the outputs do not depend on the input")
    rows = torch.autograd.grad(part.outputs.sum(), inputs, allow_unused=True, materialize_grads=True)
    return {"input_jacobian": torch.cat([r.flatten(1) for r in rows], dim=1)}


PASSES: dict[str, Callable[[Part], dict[str, Any]]] = {
    "data": data,
    "loss": loss,
    "curvature": curvature,
    "jacobian": jacobian,
}


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of logits and class labels, with labels checked first.

    Raises `InputError` for labels that are not classes of the outputs.
    """
    if targets.is_floating_point():
        raise InputError(
            f"labels are {targets.dtype}, cross-entropy needs integer classes; for other targets pass loss=, "
            "for example torch.nn.functional.mse_loss"
        )
    if outputs.ndim < 2:
        raise Failure(f"cross-entropy needs outputs N×classes, the network returned shape {tuple(outputs.shape)}")
    classes = outputs.shape[1]
    wrong = targets[((targets < 0) & (targets != -100)) | (targets >= classes)]
    if len(wrong):
        raise InputError(
            f"labels out of range: found {int(wrong[0])}, but the network has {classes} outputs, "
            f"so labels must be 0 to {classes - 1}"
        )
    return torch.nn.functional.cross_entropy(outputs, targets)


def differentiable(value: Any) -> Any:
    """A leaf copy of a floating-point tensor that takes a gradient; anything else as it is."""
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.detach().clone().requires_grad_() if floating else value
