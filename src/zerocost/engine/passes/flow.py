"""Flow pass: an input of ones through absolute weights, normalisation and dropout as identity, in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure
from zerocost.base.seeding import stream
from zerocost.engine.failures import COMPILED, OneValue
from zerocost.engine.follow.layer_counts import LayerCounts
from zerocost.engine.graph import check_sum, gradients
from zerocost.engine.inputs import as_leaves, clone_tensors, take_samples
from zerocost.engine.model.network import Network
from zerocost.engine.model.normalisers import only_tensor
from zerocost.engine.modes.call_mode import FlowMode
from zerocost.engine.modes.float64 import as_float64
from zerocost.engine.modes.wide_range import WideRangeMode
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.signals import Signal, signals_from
from zerocost.engine.watch.roles import WeightRoles

_UNDEFINED = (
    "undefined: normalised with the statistics of one input of ones, {}; "
    "use synflow, where normalisation is the identity"
)
_CANCELS = _UNDEFINED.format("the flow cancels up to rounding")
_SATURATED = (
    "every synaptic flow is zero: a bounded function (tanh, sigmoid, softmax, ReLU6) is saturated by an input of ones "
    "through absolute weights; score the network without it"
)
_BOUNDED = {"tanh", "sigmoid", "softmax", "erf", "hardtanh", "hardsigmoid", "relu6", "clamp", "clamp_max", "minimum"}


class _NoFlow(Failure):
    """Every synaptic flow is zero."""

    def __init__(self) -> None:
        super().__init__("no path from input to output: every synaptic flow is zero")


class _Run(NamedTuple):
    """One run of the network, there and back.

    Attributes:
        weights: the absolute values of the weight matrices.
        flows: the gradients of R to them, over 2^`exponent`.
        exponent: 0 where tensors carry no power of two.
        along: signals of what was seen along the way.
        normalises: whether the network normalises anything.
    """

    weights: list[Tensor]
    flows: list[Tensor]
    exponent: int
    along: dict[str, Any]
    normalises: bool


class _UnboundedMode(FlowMode):
    """`FlowMode` in which bounded functions are the identity."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.skipped, self.sees_steps = self.skipped | _BOUNDED, True


def _signals(batch: PassInput, run: _Run) -> dict[str, Any]:
    """The signals of a run. Where gradients overflow or vanish, mantissas are those of a second run, in which tensors
    carry a power of two."""
    flows, obstacle = run.flows, None
    if not all(map(_is_finite, flows)):
        obstacle = Failure(
            "the synaptic flow is not finite: it overflows float64 (1.8e308), or the weights are not numbers"
        )
    elif not any(bool(g.any()) for g in flows):
        obstacle = _no_flow(batch)
    mantissas: list[Tensor] | Failure = obstacle or flows
    exponents = [0] * len(flows)
    if obstacle and "flow_mantissas" in batch.wanted and all(map(_is_finite, run.weights)):
        try:
            mantissas, exponents = _wide(batch, flows, obstacle)
        except Failure as failure:
            mantissas = failure.without_frames()
    return {
        "flow_weights": run.weights,
        "flow_gradients": obstacle or flows,
        "flow_mantissas": mantissas,
        "flow_exponents": exponents,
    } | run.along


def _wide(batch: PassInput, flows: list[Tensor], obstacle: Failure) -> tuple[list[Tensor], list[int]]:
    """Gradients over a power of two, and its exponents: 0 for each tensor of `flows` that float64 can hold.

    `obstacle` says what is wrong with `flows`.
    """
    run = _backward(batch, WideRangeMode)
    scaled = run.flows
    if not all(map(_is_finite, scaled)):
        raise Failure(
            "the synaptic flow is not finite: a function of the network overflows float64 (1.8e308), or takes the "
            "variance of the one input"
        )
    if not any(bool(g.any()) for g in scaled):
        raise obstacle if all(map(_is_finite, flows)) else _no_flow(batch)
    held = [_is_finite(flow) and bool(flow.any()) for flow in flows]
    mantissas = [flow if plain else wide for flow, wide, plain in zip(flows, scaled, held, strict=True)]
    return mantissas, [0 if plain else run.exponent for plain in held]


def _no_flow(batch: PassInput) -> Failure:
    """Why every flow is zero."""
    flows = _backward(batch, _UnboundedMode).flows
    return Failure(_SATURATED) if any(bool(g.any()) for g in flows) else _NoFlow()


def _backward(batch: PassInput, mode: type[FlowMode] = FlowMode) -> _Run:
    """Backward of the summed outputs R to the absolute weights, in eval mode. Buffers keep their sign (masks do).

    With normalisation "kept", normalisation layers run in train mode on the statistics of the one input of ones.
    """
    network, kept = batch.network, batch.settings.normalisation == "kept"
    if network.compiled:
        raise Failure(COMPILED)
    parameters = {name: absolute_values(p.detach()) for name, p in network.parameters.items()}
    weights = [w.requires_grad_() for w in network.matrices(parameters)]
    buffers = {name: as_float64(b.detach().clone()) for name, b in network.buffers.items()}

    def ones(value: Any) -> Any:
        return torch.ones_like(as_float64(value)) if isinstance(value, Tensor) else value

    inputs = clone_tensors(as_leaves(tree_map(ones, take_samples(batch.inputs, 0, 1))))
    with network.fresh(batch.seed, training=kept):
        roles = WeightRoles(network, weights) if "weight_roles" in batch.wanted else None
        for module in () if kept else network.normalisers:
            module.register_forward_hook(_hand_on, with_kwargs=True)
        see, ids = None if roles is None else roles.see, set(map(id, weights))
        tensors, wanted = parameters | buffers, batch.wanted.intersection(signals_from(["shape"]))
        counts = LayerCounts(ids, tensors, inputs) if wanted and not network.hides_calls else None
        with mode(network.originals, see, ids, kept, counts) as running:
            outputs = network.run(tensors, inputs)
        counted = counts.signals(outputs) if counts is not None and counts.certain else {}
        if not outputs.requires_grad:
            raise Failure("no path from input to output: the outputs do not depend on the weights")
        check_sum(outputs)
        exponent = 0
        if isinstance(running, WideRangeMode):
            outputs = running.in_range(outputs)
            exponent = running.exponent(outputs)
        total = outputs.sum()
        with running if running.again else nullcontext():
            flows = gradients(total, weights)
    along: dict[str, Any] = counted if roles is None else counted | {"weight_roles": roles.result()}
    normalises = running.normalised or bool(network.normalisers) or network.hides_calls
    return _Run([w.detach() for w in weights], [g.detach() for g in flows], exponent, along, normalises)


def _hand_on(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Tensor | None:
    """A hook that makes a module that normalises the identity."""
    given = only_tensor(args, kwargs)
    return given if given is not None and isinstance(result, Tensor) and result.shape == given.shape else None


def _flow(batch: PassInput) -> dict[str, Any]:
    """The synaptic flow, or a `Failure` where weights changed by 1e-14 change it by more than 1e-6: rounding then
    decides it.

    That happens with normalisation "kept", which has no gradient on maps of one value, or two, a channel.
    """
    if batch.settings.normalisation == "identity":
        return _signals(batch, _backward(batch))
    try:
        run = _backward(batch)
        found = _signals(batch, run)
        if not run.normalises:
            return found
        other = replace(batch, network=_rounded_otherwise(batch.network, stream(batch.seed, "rounding")))
        again = _signals(other, _backward(other))
    except OneValue as failure:
        raise Failure(_UNDEFINED.format("which is one value a channel")) from failure
    flows = found["flow_gradients"], again["flow_gradients"]
    for flow in flows:
        if isinstance(flow, _NoFlow):
            raise Failure(_CANCELS) from flow
        if isinstance(flow, Failure):
            return found
    pairs = list(zip(*flows, strict=True))
    change = _magnitude(found["flow_weights"], [one - other for one, other in pairs])
    if change > 1e-6 * _magnitude(found["flow_weights"], [one for one, _ in pairs]):
        raise Failure(_CANCELS)
    return found


def _rounded_otherwise(network: Network, generator: torch.Generator) -> Network:
    """The network in float64, with the elements of its parameters changed by about 1e-14 of them."""

    def change(parameter: Tensor) -> Tensor:
        if not parameter.is_floating_point():
            return parameter
        steps = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        return parameter.detach().double() * (1 + 1e-14 * steps.to(parameter.device))

    changed = copy.copy(network)
    changed.parameters = {name: change(p) for name, p in network.parameters.items()}
    return changed


def _magnitude(weights: Sequence[Tensor], flows: Sequence[Tensor]) -> Tensor:
    """The sum of |w·∂R/∂w|."""
    return torch.stack([(w * g).abs().sum() for w, g in zip(weights, flows, strict=True)]).sum()


def _is_finite(values: Tensor) -> bool:
    """Whether all elements are, without a copy of them."""
    return not values.numel() or all(map(math.isfinite, torch.stack(torch.aminmax(values)).tolist()))


def absolute_values(parameter: Tensor) -> Tensor:
    """Absolute values in float64; a copy of an integer parameter."""
    return parameter.to(torch.float64, copy=True).abs_() if parameter.is_floating_point() else parameter.clone()


add_pass(
    Pass(
        name="flow",
        run=_flow,
        order=110,
        description="an input of ones, |θ|, normalisation as identity, float64",
        settings=frozenset({"initialisation", "normalisation"}),
        forwards=1,
        backwards=1,
        by_sample=True,
        also=("shape",),
    ),
    Signal("flow_weights", "absolute values of `weights`, float64"),
    Signal("weight_roles", "what each weight matrix is: attention, linear or other"),
    Signal("flow_gradients", "gradient of the flow R (input of ones, |θ|, no normalisation), float64"),
    Signal("flow_mantissas", "`flow_gradients` over a power of two where float64 does not hold them"),
    Signal("flow_exponents", "the exponent of that power for each tensor, 0 elsewhere: ints"),
)
