"""Space `tcn`: temporal convolutional networks, for series and other sequences of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from zerocost.base.errors import InputError
from zerocost.base.fidelity import Fidelity
from zerocost.spaces.choices import ChoiceSpace
from zerocost.spaces.choose import Choose
from zerocost.spaces.layers import ACTIVATIONS

_WIDTHS = (8, 16, 32, 64)
_KERNELS = (2, 3, 5, 7)
_DILATIONS = (1, 2, 4)
_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "group": lambda channels: nn.GroupNorm(channels // 4, channels),
}
_RATES = (0.0, 0.1, 0.3)
_HEADS: dict[str, Callable[[Tensor], Tensor]] = {
    "last": lambda x: x[:, :, -1],
    "average": lambda x: x.mean(2),
    "max": lambda x: x.amax(2),
}


@dataclass(frozen=True)
class Spec:
    """The choices of one network."""

    depth: int
    width: int
    kernel: int
    dilation: int
    causal: bool
    norm: str
    activation: str
    residual: bool
    dropout: float
    head: str


def _choose_spec(choose: Choose) -> Spec:
    """Ask for every choice of the space; `dilation` only where there is a second layer."""
    depth = choose.int("depth", 1, 6)
    return Spec(
        depth=depth,
        width=choose.one_of("width", _WIDTHS),
        kernel=choose.one_of("kernel", _KERNELS),
        dilation=choose.one_of("dilation", _DILATIONS) if depth > 1 else 1,
        causal=choose.bool("causal"),
        norm=choose.one_of("norm", tuple(_NORMS)),
        activation=choose.one_of("activation", tuple(ACTIVATIONS)),
        residual=choose.bool("residual"),
        dropout=choose.one_of("dropout", _RATES),
        head=choose.one_of("head", tuple(_HEADS)),
    )


class Block(nn.Module):
    """Padding, convolution, normalisation, activation, dropout; with a skip around them if residual.

    Whatever the dilation, one of the kernel's steps is the output's own, so that no block sees padding alone.
    """

    def __init__(self, inputs: int, outputs: int, dilation: int, spec: Spec) -> None:
        super().__init__()
        earlier = spec.kernel - 1 if spec.causal else (spec.kernel - 1) // 2
        self.padding = (earlier * dilation, (spec.kernel - 1 - earlier) * dilation)
        self.conv = nn.Conv1d(inputs, outputs, spec.kernel, dilation=dilation, bias=spec.norm == "none")
        self.norm = _NORMS[spec.norm](outputs)
        self.activation = ACTIVATIONS[spec.activation]()
        self.dropout = nn.Dropout1d(spec.dropout) if spec.dropout else nn.Identity()
        self.skip: nn.Module | None = None
        if spec.residual:
            self.skip = nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout(self.activation(self.norm(self.conv(F.pad(x, self.padding)))))
        return y if self.skip is None else y + self.skip(x)


class TCN(nn.Module):
    """Blocks of convolutions over time and a linear layer: series N × time × `features` to N × `outputs`."""

    def __init__(self, spec: Spec, fidelity: Fidelity, outputs: int, features: int) -> None:
        super().__init__()
        width = fidelity.channels(spec.width, multiple=4)
        inputs = [features, *[width] * (fidelity.layers(spec.depth) - 1)]
        self.blocks = nn.Sequential(
            *[Block(channels, width, spec.dilation**i, spec) for i, channels in enumerate(inputs)]
        )
        self.head = spec.head
        self.last = nn.Linear(width, outputs)

    def forward(self, series: Tensor) -> Tensor:
        outputs: Tensor = self.last(_HEADS[self.head](self.blocks(series.transpose(1, 2))))
        return outputs


def space(features: int = 1, outputs: int = 1) -> ChoiceSpace:
    """Temporal convolutional networks for series of shape time × `features`, of any length: 110,592 of them.

    ============  =======================  ==================================================================
    choice        options                  meaning
    ============  =======================  ==================================================================
    `depth`       1 … 6                    convolutions
    `width`       8, 16, 32, 64            channels of each
    `kernel`      2, 3, 5, 7               steps that one convolution sees
    `dilation`    1, 2, 4                  factor of the distance between these steps, from one to the next
    `causal`      no, yes                  whether a convolution sees earlier steps only
    `norm`        none, batch, group       after each convolution; groups of 4 channels
    `activation`  relu, leaky, gelu, silu  after the normalisation
    `residual`    no, yes                  a skip around each convolution, 1×1 where channels differ
    `dropout`     0, 0.1, 0.3              share of channels left out in training
    `head`        last, average, max       what of the time axis goes to the last linear layer
    ============  =======================  ==================================================================

    No two architectures are twins. A fidelity's `width` scales the channels; its `depth` removes the last convolutions.

    Args:
        features: series observed side by side.
        outputs: numbers predicted: classes, or steps of a forecast times series.

    Raises:
        InputError: fewer than one feature or output.

    References:
        Bai, Kolter, Koltun: An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
        Modeling, 2018.

    >>> import torch
    >>> network = space(features=2, outputs=12).build(space(2).parse(
    ...     "depth=3,width=16,kernel=3,dilation=2,causal=True,norm=batch,activation=relu,residual=True,dropout=0.0,"
    ...     "head=last"))
    >>> network(torch.zeros(4, 48, 2)).shape
    torch.Size([4, 12])
    """
    if features < 1 or outputs < 1:
        raise InputError(
            f"space tcn needs features >= 1 and outputs >= 1, but got features={features}, outputs={outputs}"
        )
    build = partial(_build, outputs=outputs, features=features)
    shapes = len(_WIDTHS) * len(_KERNELS) * (1 + 5 * len(_DILATIONS))
    others = 2 * len(_NORMS) * len(ACTIVATIONS) * 2 * len(_RATES) * len(_HEADS)
    return ChoiceSpace("tcn", _choose_spec, build, size=shapes * others)


def _build(choose: Choose, fidelity: Fidelity, outputs: int, features: int) -> TCN:
    return TCN(_choose_spec(choose), fidelity, outputs, features)
