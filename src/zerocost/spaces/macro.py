"""Space `macro`: NAS-Bench-Macro, eight layers of three choices each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from zerocost.base.errors import InputError
from zerocost.base.fidelity import Fidelity
from zerocost.spaces.base import check_sizes
from zerocost.spaces.choose import Choose
from zerocost.spaces.coded import Choices, Code, CodedSpace

STAGES = (2, 3, 3)
_LAYERS = tuple(f"layer{i}" for i in range(1, sum(STAGES) + 1))
OPERATIONS = ("identity", "mb3_k3", "mb6_k5")
"""By digit: identity; a MobileNetV2 block of expansion 3 and kernel 3; one of expansion 6 and kernel 5."""


class Identity(nn.Sequential):
    """Nothing where shapes agree, a 1×1 convolution and normalisation where they do not."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        if inputs != outputs or stride != 1:
            self.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.append(nn.BatchNorm2d(outputs))


class InvertedResidual(nn.Module):
    """The MobileNetV2 block: expand, convolve each channel, project; with a skip where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, kernel: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Sequential(nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU())
        self.depthwise = nn.Sequential(
            nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
        )
        self.project = nn.Sequential(nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.skip = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return y + x if self.skip else y


_LAYER_TYPES: dict[str, Callable[[int, int, int], nn.Module]] = {
    "identity": Identity,
    "mb3_k3": partial(InvertedResidual, expansion=3, kernel=3),
    "mb6_k5": partial(InvertedResidual, expansion=6, kernel=5),
}


class MacroNet(nn.Module):
    """The network NAS-Bench-Macro trained: a stem, stages that halve the image and double the channels, a head."""

    def __init__(self, operations: Sequence[str], fidelity: Fidelity, classes: int, in_channels: int) -> None:
        super().__init__()
        channels = fidelity.channels(32)
        features = fidelity.channels(1280)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        layers: list[nn.Module] = []
        for stage in STAGES:
            for i in range(stage):
                outputs, stride = (2 * channels, 2) if i == 0 else (channels, 1)
                layers.append(_LAYER_TYPES[operations[len(layers)]](channels, outputs, stride))
                channels = outputs
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Conv2d(channels, features, 1, bias=False), nn.BatchNorm2d(features), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )
        self.classifier = nn.Linear(features, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.layers(self.stem(images))).flatten(1))
        return logits


def space(classes: int = 10, in_channels: int = 3, resolution: int = 32) -> CodedSpace:
    """NAS-Bench-Macro (Su et al., CVPR 2021): 6,561 networks of eight layers, written as eight digits.

    A digit is 0 for identity, 1 for a MobileNetV2 block of expansion 3 and kernel 3, 2 for one of expansion 6 and
    kernel 5. The layers stand in stages of 2, 3 and 3, each of which begins by halving the image and doubling the
    channels, from 32; there identity is a strided 1×1 convolution. Elsewhere it is nothing, so that where in a stage
    it stands makes no difference: such twins share a key, 3,969 in all.

    A fidelity's `width` scales channels. Every layer is a choice, so building at another depth raises `InputError`. The
    network takes images of any size; `resolution` is not used.

    Raises:
        InputError: fewer than one class or channel.

    >>> macro = space()
    >>> macro.size, sum(p.numel() for p in macro.build(macro.parse("01111202")).parameters())
    (6561, 1769258)
    >>> macro.canonical(macro.parse("01102000"))
    '01120000'
    """
    check_sizes("macro", classes, in_channels)
    build = partial(_build, classes=classes, in_channels=in_channels)
    return CodedSpace("macro", _choose, build, len(OPERATIONS) ** len(_LAYERS), Code(_write, _read, _key))


def _choose(choose: Choose) -> list[str]:
    return [choose.one_of(layer, OPERATIONS) for layer in _LAYERS]


def _build(choose: Choose, fidelity: Fidelity, classes: int, in_channels: int) -> MacroNet:
    if fidelity.depth != 1.0:
        raise InputError(
            f"space macro cannot be built at {fidelity}: each of its layers is a choice; scale width and resolution"
        )
    return MacroNet(_choose(choose), fidelity, classes, in_channels)


def _write(choices: Choices) -> str:
    return "".join([str(OPERATIONS.index(str(operation))) for _, operation in choices])


def _read(code: str) -> Choices:
    if not re.fullmatch(f"[012]{{{len(_LAYERS)}}}", code):
        raise InputError(
            f"an architecture of space macro is {len(_LAYERS)} digits 0, 1 or 2, such as '01111202', but got {code!r}"
        )
    return tuple([(layer, OPERATIONS[int(digit)]) for layer, digit in zip(_LAYERS, code, strict=True)])


def _key(code: str) -> str:
    """The code with the identities of each stage, but for its first layer, moved to the end of the stage."""
    _read(code)
    key = ""
    for stage in STAGES:
        first, rest = code[len(key)], code[len(key) + 1 : len(key) + stage]
        key += first + rest.replace("0", "").ljust(stage - 1, "0")
    return key
