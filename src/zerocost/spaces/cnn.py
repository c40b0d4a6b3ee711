"""Space `cnn`: plain convolutional networks, the textbook family made worth searching."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from zerocost.base.errors import InputError
from zerocost.base.fidelity import Fidelity
from zerocost.spaces.choices import ChoiceSpace
from zerocost.spaces.choose import Choose
from zerocost.spaces.layers import ACTIVATIONS

_MAX_CHANNELS = 128
_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(channels // 4, channels),
}
_POOLS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "stride": nn.Identity,
    "max": partial(nn.MaxPool2d, 2, ceil_mode=True),
    "average": partial(nn.AvgPool2d, 2, ceil_mode=True),
}


@dataclass(frozen=True)
class Spec:
    """The choices of one network."""

    depth: int
    width: int
    growth: int
    kernel: int
    downsample: str
    times: int
    norm: str
    activation: str
    residual: bool
    head: str
    hidden: int


def _choose_spec(choose: Choose, resolution: int) -> Spec:
    """Ask for every choice of the space; `times` is asked only when something is downsampled."""
    depth = choose.int("depth", 2, 5)
    width = choose.int("width", 8, 40, step=8)
    growth = choose.int("growth", 1, 2)
    kernel = choose.int("kernel", 3, 5, step=2)
    downsample = choose.one_of("downsample", ("none", "max", "average", "stride"))
    return Spec(
        depth=depth,
        width=width,
        growth=growth,
        kernel=kernel,
        downsample=downsample,
        times=choose.int("times", 1, min(depth - 1, _most_times(resolution))) if downsample != "none" else 0,
        norm=choose.one_of("norm", tuple(_NORMS)),
        activation=choose.one_of("activation", tuple(ACTIVATIONS)),
        residual=choose.bool("residual"),
        head=choose.one_of("head", ("pool", "flatten")),
        hidden=choose.one_of("hidden", (0, 64, 128)),
    )


def _most_times(resolution: int) -> int:
    """How often an image may be halved: three times, or until fewer than 4 pixels a side would be left."""
    return min(3, resolution.bit_length() - 3)


class Block(nn.Module):
    """Downsampling, convolution, normalisation, activation; with a skip around the last three if residual."""

    def __init__(self, inputs: int, outputs: int, downsample: str, spec: Spec) -> None:
        super().__init__()
        stride = 2 if downsample == "stride" else 1
        self.pool = _POOLS[downsample]()
        self.conv = nn.Conv2d(inputs, outputs, spec.kernel, stride, padding=spec.kernel // 2, bias=spec.norm == "none")
        self.norm = _NORMS[spec.norm](outputs)
        self.activation = ACTIVATIONS[spec.activation]()
        self.skip: nn.Module | None = None
        if spec.residual:
            same = inputs == outputs and stride == 1
            self.skip = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        y: Tensor = self.activation(self.norm(self.conv(x)))
        return y if self.skip is None else y + self.skip(x)


class CNN(nn.Module):
    """Blocks of convolutions and a classifier: images N × `in_channels` × H × W of one size to N × `classes`."""

    def __init__(self, spec: Spec, fidelity: Fidelity, classes: int, in_channels: int, resolution: int) -> None:
        super().__init__()
        depth = max(spec.times + 1, fidelity.layers(spec.depth))
        channels, size = in_channels, fidelity.resolution or resolution
        blocks: list[nn.Module] = []
        for i in range(depth):
            full = min(spec.width * spec.growth**i, _MAX_CHANNELS)
            outputs = fidelity.channels(full, multiple=4)
            downsample = spec.downsample if 1 <= i <= spec.times else "none"
            blocks.append(Block(channels, outputs, downsample, spec))
            channels, size = outputs, math.ceil(size / 2) if downsample != "none" else size
        self.blocks = nn.Sequential(*blocks)

        pool = [nn.AdaptiveAvgPool2d(2)] if spec.head == "pool" else []
        features = channels * (2 if spec.head == "pool" else size) ** 2
        hidden: list[nn.Module] = []
        if spec.hidden:
            width = fidelity.channels(spec.hidden)
            hidden = [nn.Linear(features, width), ACTIVATIONS[spec.activation]()]
            features = width
        self.classifier = nn.Sequential(*pool, nn.Flatten(), *hidden, nn.Linear(features, classes))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.blocks(images))
        return logits


def space(classes: int = 10, in_channels: int = 3, resolution: int = 32) -> ChoiceSpace:
    """Plain CNNs of 2 to 5 convolutions for images of `resolution` × `resolution` pixels: 89,280 from 32 pixels on.

    ============  ==========================  =======================================================
    choice        options                     meaning
    ============  ==========================  =======================================================
    `depth`       2 … 5                       convolutions
    `width`       8, 16 … 40                  channels of the first
    `growth`      1, 2                        factor of channels from one to the next, up to 128
    `kernel`      3, 5                        pixels a side
    `downsample`  none, max, average, stride  halves the image before the second convolution and on
    `times`       1 … min(depth − 1, 3)       how often, if at all; never to below 4 pixels a side
    `norm`        none, batch, group          groups of 4 channels
    `activation`  relu, leaky, gelu, silu     after each convolution and the hidden layer
    `residual`    no, yes                     a skip around each convolution, 1×1 where shapes differ
    `head`        pool, flatten               the averages of the four quadrants, or all pixels
    `hidden`      0, 64, 128                  width of the hidden linear layer; 0 for none
    ============  ==========================  =======================================================

    `depth=2,width=16,growth=2,kernel=3,downsample=none,norm=none,activation=relu,residual=False,head=flatten,hidden=128`
    is the textbook network conv-relu-conv-relu-flatten-linear-relu-linear. No two architectures are twins.
    A fidelity's `width` scales channels and hidden layer; its `depth` removes the last convolutions, but none that
    downsamples.

    Raises:
        InputError: a resolution below 8, or fewer than one class or channel.

    >>> cnn = space(classes=10)
    >>> import numpy as np
    >>> str(cnn.sample(np.random.default_rng(0)))
    'depth=5,width=32,growth=2,kernel=3,downsample=max,times=1,norm=none,activation=relu,residual=False,head=flatten,hidden=64'
    """
    if resolution < 8 or classes < 1 or in_channels < 1:
        raise InputError(
            "space cnn needs resolution >= 8, classes >= 1 and in_channels >= 1, but got "
            f"resolution={resolution}, classes={classes}, in_channels={in_channels}"
        )
    build = partial(_build, classes=classes, in_channels=in_channels, resolution=resolution)
    downsamplings = sum(1 + 3 * min(depth - 1, _most_times(resolution)) for depth in range(2, 6))
    others = 5 * 2 * 2 * len(_NORMS) * len(ACTIVATIONS) * 2 * 2 * 3
    return ChoiceSpace("cnn", partial(_choose_spec, resolution=resolution), build, size=downsamplings * others)


def _build(choose: Choose, fidelity: Fidelity, classes: int, in_channels: int, resolution: int) -> CNN:
    return CNN(_choose_spec(choose, resolution), fidelity, classes, in_channels, resolution)
