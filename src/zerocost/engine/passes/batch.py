"""The passes that share one graph, on the batch or a part of it: data, perturbed, loss, curvature, jacobian, blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from zerocost.base.errors import Failure, InputError
from zerocost.base.seeding import seeded, stream
from zerocost.engine.graph import dense, differentiable_once, gradients
from zerocost.engine.inputs import cloned, leaves, noise, sample_count, take_samples
from zerocost.engine.network import Network
from zerocost.engine.observe import LOOKING, Observer
from zerocost.engine.passes.blocks import gains
from zerocost.engine.settings import DEFAULT, Settings
from zerocost.engine.signals import SIGNALS
from zerocost.engine.watch.base import Scene
from zerocost.engine.watch.maps import spectrum

Loss = Callable[[Tensor, Tensor], Tensor]
IGNORED = -100  # the label that torch's cross-entropy leaves out


@dataclass(frozen=True)
class PassInput:
    """What the passes on the batch run on: a network, samples (all or some of them), and the signals wanted.

    `further` are the other batches that were given, for what compares batches.
    """

    network: Network
    inputs: Any
    targets: Tensor | None
    loss: Loss
    wanted: frozenset[str]
    seed: int
    settings: Settings = DEFAULT
    further: Sequence[tuple[Any, Tensor | None]] = ()

    @property
    def training(self) -> bool:
        """Whether the network runs in train mode."""
        return self.settings.mode == "train"

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sample_count(self.inputs)

    def slice(self, start: int, stop: int, wanted: frozenset[str]) -> PassInput:
        """The samples from `start` up to `stop`."""
        targets = None if self.targets is None else self.targets[start:stop]
        return replace(self, inputs=take_samples(self.inputs, start, stop), targets=targets, wanted=wanted)

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

    def __init__(self, batch: PassInput, keep_codes: bool = False, direction: Sequence[Tensor] | None = None) -> None:
        self.batch = batch
        self.direction = direction
        network = batch.network
        self.scene = Scene(batch.samples, network.tokens_first, network.model, batch.seed)
        self.observer = Observer(self.scene, batch.wanted, network.originals, keep_codes)
        self.blocks_follow = batch.wants("blocks")
        self.jacobian_follows = batch.wants("jacobian")
        self.curvature_follows = batch.wants("curvature")
        self.loss_follows = batch.wants("loss", "curvature")
        self.noisy = False


def data(part: Part) -> dict[str, Any]:
    """Forward on the batch, with a graph for the passes that follow."""
    batch, network, observer = part.batch, part.batch.network, part.observer
    graph = part.loss_follows or part.jacobian_follows or part.blocks_follow
    part.inputs = leaves(batch.inputs) if graph else batch.inputs
    part.tensors = network.copies()
    if part.loss_follows or part.blocks_follow:
        for name in network.weight_names:
            part.tensors[name].requires_grad_()
        for name in network.floating if "parameter_gradients" in batch.wanted else ():
            part.tensors[name].requires_grad_()
    part.scene.constants = frozenset(map(id, part.tensors.values()))
    part.scene.weights = {id(part.tensors[name]): place for place, name in enumerate(network.weight_names)}
    with torch.set_grad_enabled(graph):
        given = cloned(part.inputs)
        with observer.watching():
            outputs = network.run(part.tensors, given)
    if outputs.ndim == 0 or len(outputs) != batch.samples:
        raise Failure(
            f"the network returned shape {tuple(outputs.shape)} for {batch.samples} samples; "
            "the first axis must be the samples"
        )
    part.outputs = finite(outputs)
    found = {name: observer.found(name) for name in SEEN_FORWARD}
    blocks = observer.found("blocks")
    if blocks is not None:
        found["block_spectra"] = blocks if isinstance(blocks, Failure) else list(map(block_spectrum, blocks))
    return {"outputs": part.outputs.detach()} | found


def finite(outputs: Tensor) -> Tensor:
    """The outputs; `Failure` where one is not a number, or not finite."""
    if not outputs.isfinite().all():
        raise Failure(
            f"the outputs are not finite: activations overflow {str(outputs.dtype).removeprefix('torch.')}, "
            "or the weights are not numbers"
        )
    return outputs


def block_spectrum(found: Tensor) -> Tensor:
    """Eigenvalues of the covariance of a block's channels, over samples and positions."""
    return spectrum(found.detach().movedim(1, -1).flatten(0, -2))


def perturbed(part: Part) -> dict[str, Any]:
    """Forward on the same samples, each moved by a Gaussian step; the running statistics go on from the data pass."""
    batch, network = part.batch, part.batch.network
    scene = replace(part.scene, block=0)
    observer = Observer(scene, frozenset({"features", "batch_norm_variances"}), network.originals)
    step = noise(batch.inputs, None, stream(batch.seed, "perturbation"))
    moved = tree_map(
        lambda x, d: x + batch.settings.perturbation * d if d is not x and isinstance(x, Tensor) else x,
        batch.inputs,
        step,
    )
    tensors = {name: t.detach().clone() for name, t in part.tensors.items()}
    with torch.no_grad(), seeded(batch.seed, network.device), observer.watching():
        network.run(tensors, moved)
    return {
        "perturbed_features": observer.found("features"),
        "batch_norm_variances": observer.found("batch_norm_variances"),
    }


def blocks(part: Part) -> dict[str, Any]:
    """Backward through each block, of random signs at its output."""
    found = part.observer.found("blocks")
    return {"block_gains": found if isinstance(found, Failure) else gains(found, part.batch.seed)}


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
    follow = part.curvature_follows or part.jacobian_follows or part.blocks_follow
    others = (
        [part.tensors[n] for n in part.batch.network.floating] if "parameter_gradients" in part.batch.wanted else []
    )
    with part.observer.listening():
        found = gradients(
            part.value, [*part.weights, *others], create_graph=part.curvature_follows, retain_graph=follow
        )
    part.gradients = found[: len(part.weights)]
    if not any(bool(g.any()) for g in part.gradients):
        raise Failure("no path from the weights to the loss: every gradient is zero")
    return {
        "loss": part.value.detach(),
        "weight_gradients": [g.detach() for g in part.gradients],
        "parameter_gradients": [g.detach() for g in found[len(part.weights) :]],
        "channel_saliency": part.observer.found("channel_saliency"),
        "responses": part.observer.found("responses"),
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
        retain_graph=part.jacobian_follows or part.blocks_follow,
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
    rows = gradients(part.outputs.sum(), inputs, retain_graph=part.blocks_follow)
    return {"input_jacobian": torch.cat([r.reshape(len(r), -1) for r in rows], dim=1)}


PASSES: dict[str, Callable[[Part], dict[str, Any]]] = {
    "data": data,
    "perturbed": perturbed,
    "loss": loss,
    "curvature": curvature,
    "jacobian": jacobian,
    "blocks": blocks,
}
SEEN_FORWARD = [name for name in LOOKING if name in SIGNALS and SIGNALS[name].source == "data"]
"""What watchers see on the way forward."""


def without_loss(batch: PassInput) -> bool:
    """Whether cross-entropy leaves out every label of a batch."""
    return batch.loss is cross_entropy and batch.targets is not None and bool((batch.targets == IGNORED).all())


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of logits N×C×… and class labels N×…, with labels checked first. Axes of one do not matter.

    A single output z (N, or N×1×…) tells two classes apart: its logits are 0 and z, so that the loss is the binary
    cross-entropy of z.

    Raises `InputError` for labels that are not classes of the outputs.

    >>> z, labels = torch.tensor([[0.5], [-2.0]]), torch.tensor([1, 0])
    >>> torch.nn.functional.binary_cross_entropy_with_logits(z[:, 0], labels.float()).allclose(cross_entropy(z, labels))
    True
    """
    if targets.is_floating_point() or targets.is_complex():
        raise InputError(
            f"labels are {targets.dtype}, cross-entropy needs integer classes; for other targets pass loss=, "
            "for example torch.nn.functional.mse_loss"
        )
    returned = tuple(outputs.shape)
    logits = outputs.unsqueeze(1) if outputs.ndim == 1 else outputs
    if not logits.ndim or not logits.shape[1]:
        raise Failure(f"cross-entropy needs outputs N×classes, the network returned shape {returned}")
    single = logits.shape[1] == 1
    if single:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    classes, expected = logits.shape[1], (len(logits), *logits.shape[2:])
    if longer(targets.shape) != longer(expected) or len(targets) != len(logits):
        raise InputError(
            f"labels of shape {tuple(targets.shape)} do not fit outputs of shape {returned}: "
            f"expected one class a sample, shape {expected}"
        )
    counted = targets[targets != IGNORED]
    if not len(counted):
        raise InputError(f"all labels are {IGNORED}, which cross-entropy leaves out")
    wrong = counted[(counted < 0) | (counted >= classes)]
    if len(wrong):
        raise InputError(
            f"labels out of range: found {int(wrong[0])}, but the network has "
            + (
                "1 output, so labels must be 0 or 1; for other targets pass loss="
                if single
                else f"{classes} outputs, so labels must be 0 to {classes - 1}"
            )
        )
    return torch.nn.functional.cross_entropy(logits, targets.reshape(expected).long())


def longer(shape: Sequence[int]) -> list[int]:
    """The axes after the first that are not of length one."""
    return [length for length in shape[1:] if length != 1]
