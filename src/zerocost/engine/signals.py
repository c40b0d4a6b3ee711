"""What can be measured on an untrained network: the names a proxy may ask for.

A measured signal is delivered by a pass. A derived signal is computed from other signals, once for all proxies
that ask for it; `signal` registers one, and its parameter names are its request, as a proxy's are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from zerocost.base.errors import Failure, InputError, unknown

Tensors = Sequence[Tensor]


class ChannelSaliency(NamedTuple):
    """What one convolution or linear layer did to the loss: `values[n, c]` is the sum over positions of a·∂L/∂a.

    `fan_in` is the number of weights that feed one channel.
    """

    values: Tensor
    fan_in: float


class LayerKernel(NamedTuple):
    """The activation kernel of one layer's outputs, N×N, and the layer's place among `weights`, when it is there."""

    weight: int | None
    kernel: Tensor


class LayerSize(NamedTuple):
    """How large the output of one layer is on one sample: positions (pixels or tokens) and channels."""

    positions: int
    channels: int


class Response(NamedTuple):
    """Correlations between the samples' values (or gradients) at one activation: N×N, None for constant ones.

    `block` is the number of the block it is in, 0 before the first.
    """

    block: int
    correlation: Tensor | None


@dataclass(frozen=True)
class Signal:
    """A measurable quantity: the pass that delivers it, or the function and signals it is derived from."""

    name: str
    meaning: str
    source: str
    function: Callable[..., Any] | None = None
    needs: tuple[str, ...] = ()


SIGNALS: dict[str, Signal] = {
    name: Signal(name, meaning, source)
    for name, source, meaning in (
        ("parameter_count", "model", "number of parameters, tied ones once: int"),
        ("non_embedding_count", "model", "the same without the tables of embedding layers: int"),
        ("parameter_tensors", "model", "number of parameter tensors, biases and scales included: int"),
        (
            "weights",
            "model",
            "weight matrices (two or more axes, no normalisation layer), tied ones once: tensors",
        ),
        ("labels", "batch", "the labels of the batch: N"),
        ("multiply_adds", "shape", "products of one forward pass on one sample: int"),
        ("layer_sizes", "shape", "for each convolution and linear layer, positions and channels of its output: ints"),
        ("weight_depth", "shape", "convolutions and linear layers on the longest path from input to output: int"),
        ("outputs", "data", "the network's outputs, one row a sample: N×C"),
        (
            "activation_kernel",
            "data",
            "for each pair of samples, the activations that agree in sign: N×N, float64",
        ),
        (
            "pattern_count",
            "data",
            "number of different sign patterns that units show over the samples: int",
        ),
        (
            "layer_kernels",
            "data",
            "for each convolution and linear layer the activation kernel of its outputs: N×N, float64",
        ),
        ("sample_maps", "data", "what each layer makes of the first sample: C×positions, for each layer with a map"),
        ("module_maps", "data", "the same for each module, those inside others and the network itself included"),
        ("neurons", "data", "for each layer, samples (and positions) in rows by channels: at most C×C"),
        ("features", "data", "the last map before pooling: N×C×positions, or N×C without a map"),
        ("attention_maps", "data", "for each attention layer, the weights of keys by queries, after softmax: …×T×T"),
        (
            "feed_forward_spectra",
            "data",
            "for each feed-forward layer of tokens, eigenvalues of the covariance of its hidden units",
        ),
        ("batch_norm_spectra", "data", "for each BatchNorm output M (samples and positions × C), eigenvalues of MᵀM"),
        ("block_spectra", "data", "for each block, eigenvalues of the covariance of its output's channels"),
        ("loss", "loss", "mean loss on the batch: scalar"),
        ("weight_gradients", "loss", "gradient of the loss, one tensor for each of `weights`"),
        ("parameter_gradients", "loss", "gradient of the loss, one tensor for each floating-point parameter"),
        ("channel_saliency", "loss", "for each convolution and linear layer a ChannelSaliency: N×C"),
        ("responses", "loss", "for each activation, correlations between samples of values and of gradients: N×N"),
        (
            "hessian_gradients",
            "curvature",
            "Hessian of the loss times its gradient, a tensor for each of `weights`",
        ),
        ("input_jacobian", "jacobian", "gradient of the summed outputs to each sample's input: N×D"),
        ("block_gains", "blocks", "for each block, the largest singular value of E[gᵢₙ gₒᵤₜᵀ], gₒᵤₜ = ±1: scalars"),
        ("perturbed_features", "perturbed", "`features` of the same samples after a small Gaussian step: N×C×…"),
        ("batch_norm_variances", "perturbed", "mean running variance of each BatchNorm after both runs: scalars"),
        ("batch_gradients", "batches", "gradients of the loss on each part of the batch: for each weight, B×…"),
        ("sample_gradient_signs", "samples", "sum over the samples of their gradient's sign, for each weight"),
        ("sample_gradient_sums", "samples", "sum over the samples of their gradient, for each weight"),
        (
            "tangent_kernel",
            "tangents",
            "inner products of the samples' gradients of their summed outputs: N×N, float64",
        ),
        ("fisher_information", "information", "Fisher information of one element of each parameter tensor: P×P"),
        ("flow_weights", "flow", "absolute values of `weights`, float64"),
        ("weight_roles", "flow", "what each weight matrix is: attention, linear or other"),
        ("flow_gradients", "flow", "gradient of the flow R (input of ones, |θ|, no normalisation), float64"),
    )
}


def requested(function: Callable[..., Any], kind: str) -> tuple[str, ...]:
    """The signals a function asks for: its parameter names, each checked to exist. Those after * are its options.

    >>> requested(lambda weights, loss, *, power=2: ..., "proxy")
    ('weights', 'loss')
    """
    parameters = inspect.signature(function).parameters.values()
    names = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
    for name in names:
        if name not in SIGNALS:
            raise unknown(f"signal in the parameters of {kind} {function.__name__!r}:", name, SIGNALS)
    return names


def signal(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a derived signal: a function of other signals, computed once however many proxies ask for it.

    Raises `InputError` when a parameter names no signal or the name is taken by a measured one.

    >>> @signal
    ... def gradient_norms(weight_gradients):
    ...     "Euclidean norm of each weight matrix's gradient."
    ...     return [g.norm() for g in weight_gradients]
    >>> SIGNALS["gradient_norms"].needs
    ('weight_gradients',)
    >>> del SIGNALS["gradient_norms"]
    """
    name = function.__name__
    if name in SIGNALS and SIGNALS[name].function is None:
        raise InputError(f"signal {name!r} is measured by the {SIGNALS[name].source} pass; choose another name")
    meaning = (inspect.getdoc(function) or name).splitlines()[0]
    SIGNALS[name] = Signal(name, meaning, "derived", function, requested(function, "signal"))
    return function


def measured(names: Iterable[str]) -> set[str]:
    """The measured signals that `names` come down to once derived ones are followed to their sources."""
    found: set[str] = set()
    for name in names:
        found |= measured(SIGNALS[name].needs) if SIGNALS[name].function else {name}
    return found


def resolve(name: str, values: dict[str, Any]) -> Any:
    """The value of a signal out of the measured `values`, where derived ones are computed at first use and kept."""
    if name not in values:
        derived = SIGNALS[name]
        if derived.function is None:
            raise KeyError(name)
        try:
            values[name] = derived.function(**arguments(derived.needs, values))
        except Failure as failure:
            values[name] = failure
    if isinstance(values[name], Failure):
        raise values[name]
    return values[name]


def arguments(names: Iterable[str], values: dict[str, Any]) -> Mapping[str, Any]:
    """Keyword arguments for a function that asks for the signals `names`."""
    return {name: resolve(name, values) for name in names}
