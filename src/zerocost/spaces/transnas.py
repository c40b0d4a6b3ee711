"""Spaces `transnas_micro` and `transnas_macro`: the two of TransNAS-Bench-101, with its classification head."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
from torch import Tensor, nn

from zerocost.base.errors import InputError
from zerocost.base.fidelity import FULL, Fidelity
from zerocost.spaces.architecture import Architecture, Value
from zerocost.spaces.base import check_sizes
from zerocost.spaces.choose import Choose
from zerocost.spaces.coded import Choices, Code, CodedSpace
from zerocost.spaces.darts_ops import FactorizedReduce, ReLUConvNorm, Zero
from zerocost.spaces.mixture import Mixture, mixture_of_edges
from zerocost.spaces.twins import SKIP, cell_key

CHANNELS, _BLOCKS = 64, 2
"""Channels of the first module, and blocks a module."""
SKELETON = "41414"
"""The modules of `transnas_micro`: 1 keeps the shape, 2 doubles channels, 3 halves the image, 4 does both."""
OPERATIONS = ("none", SKIP, "conv_1x1", "conv_3x3")
_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(from, to), in the order of the code."""


class CellEdge(nn.Sequential):
    """One edge of a cell: nothing, skip, or ReLU, convolution and normalisation."""

    def __init__(self, operation: str, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        if operation == "none":
            self.append(Zero(outputs, stride))
        elif operation != SKIP:
            self.append(ReLUConvNorm(inputs, outputs, 1 if operation == "conv_1x1" else 3, stride))
        elif inputs != outputs or stride != 1:
            self.append(FactorizedReduce(inputs, outputs))


class MicroCell(nn.Module):
    """Four nodes, the first the input and the last the output, each the sum of an edge from every earlier one."""

    def __init__(self, operations: Sequence[str], inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList()
        for operation, (source, _) in zip(operations, _EDGES, strict=True):
            shape = (inputs, outputs, stride) if source == 0 else (outputs, outputs, 1)
            self.edges.append(CellEdge(operation, *shape))

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for node in (1, 2, 3):
            first, *others = [
                edge(nodes[source]) for edge, (source, to) in zip(self.edges, _EDGES, strict=True) if to == node
            ]
            nodes.append(sum(others, first))
        return nodes[-1]


class BasicBlock(nn.Module):
    """The residual block of two 3×3 convolutions, ReLU first; a 1×1 convolution in the skip where shapes differ."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(ReLUConvNorm(inputs, outputs, 3, stride), ReLUConvNorm(outputs, outputs, 3))
        self.skip = nn.Sequential()
        if inputs != outputs or stride != 1:
            self.skip.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.skip.append(nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.skip(x) + self.convs(x)
        return total


class TransNASNet(nn.Module):
    """A stem that quarters the image, modules of blocks, a linear classifier on the average of the last features.

    Args:
        modules: a digit for each module.
        operations: the six of the cell; None for the basic block.
        fidelity: scales channels and blocks.
        classes: number of outputs.
        in_channels: of the images.
    """

    def __init__(
        self, modules: str, operations: Sequence[str] | None, fidelity: Fidelity, classes: int, in_channels: int
    ) -> None:
        super().__init__()
        block = BasicBlock if operations is None else partial(MicroCell, operations)
        channels = fidelity.channels(CHANNELS, multiple=2)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels // 2, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels // 2),
            ReLUConvNorm(channels // 2, channels, 3, stride=2),
        )
        self.stages = nn.Sequential()
        for module in modules:
            outputs, stride = channels * 2 if module in "24" else channels, 2 if module in "34" else 1
            blocks = [block(channels, outputs, stride)]
            blocks += [block(outputs, outputs, 1) for _ in range(1, fidelity.layers(_BLOCKS))]
            self.stages.append(nn.Sequential(*blocks))
            channels = outputs
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.stages(self.stem(images))).flatten(1))
        return logits


def micro(classes: int = 10, in_channels: int = 3, resolution: int = 32) -> TransNASMicro:
    """The cells of TransNAS-Bench-101 (Duan et al., CVPR 2021): 4,096 networks, written like `64-41414-1_02_333`.

    The last part holds the cell's operations by node: on the edges 1←0, then 2←0 and 2←1, then 3←0, 3←1 and 3←2;
    0 is none, 1 skip, 2 and 3 convolutions of kernels 1 and 3. The first two parts are the same for all: 64 channels
    and five modules of two cells, the first, third and fifth of which halve the image and double the channels; there
    a skip of the input is `FactorizedReduce`. Twins are cells that are the same without edges that lead nowhere and
    with skips followed: they share 1,376 keys.

    The benchmark trained on images of 256 × 256 pixels, in 75 classes of objects for the task `class_object`. The
    network takes images of any size; `resolution` is not used. A fidelity's `width` scales channels, its `depth` the
    two cells of a module.

    Raises:
        InputError: fewer than one class or channel.

    >>> space = micro(classes=75)
    >>> arch = space.parse("64-41414-1_02_333")
    >>> space.size, sum(p.numel() for p in space.build(arch).parameters())
    (4096, 22559083)
    """
    check_sizes("transnas_micro", classes, in_channels)
    build = partial(_build_micro, classes=classes, in_channels=in_channels)
    size = len(OPERATIONS) ** len(_EDGES)
    return TransNASMicro("transnas_micro", _choose_cell, build, size, Code(_write_cell, _read_cell, _cell_key))


def macro(classes: int = 10, in_channels: int = 3, resolution: int = 32) -> CodedSpace:
    """The skeletons of TransNAS-Bench-101 (Duan et al., CVPR 2021): 3,256 networks, written like `64-1234-basic`.

    The middle part holds four to six modules of two residual blocks: 1 keeps the shape, 2 doubles the channels, from
    64, 3 halves the image, 4 does both. One to three of them double and one to four halve. No two are twins.

    Task, images, fidelity and errors are as in `micro`.

    >>> space = macro(classes=75)
    >>> arch = space.parse("64-1234-basic")
    >>> space.size, sum(p.numel() for p in space.build(arch).parameters())
    (3256, 3419499)
    """
    check_sizes("transnas_macro", classes, in_channels)
    return TransNASMacro(
        "transnas_macro",
        _choose_modules,
        partial(_build_macro, classes=classes, in_channels=in_channels),
        len(_skeletons()),
        Code(_write_modules, _read_modules),
    )


class TransNASMicro(CodedSpace):
    """See `micro`."""

    def mixture(self, fidelity: Fidelity = FULL) -> Mixture:
        """All cells in one network; see `zerocost.spaces.mixture`."""
        digits = range(len(OPERATIONS))
        networks = [self.build(self.parse(f"{CHANNELS}-{SKELETON}-{d}_{d}{d}_{d}{d}{d}"), fidelity) for d in digits]
        names = {
            f"{path}.edges.{i}": f"{to}<-{source}"
            for path, module in networks[0].named_modules()
            if isinstance(module, MicroCell)
            for i, (source, to) in enumerate(_EDGES)
        }
        return mixture_of_edges(networks, OPERATIONS, names)


class TransNASMacro(CodedSpace):
    """See `macro`. Sampling draws every architecture equally often, though most have six modules."""

    def sample(self, rng: np.random.Generator) -> Architecture:
        return self.parse(f"{CHANNELS}-{_skeletons()[rng.integers(len(_skeletons()))]}-basic")


def _choose_cell(choose: Choose) -> list[str]:
    return [choose.one_of(f"{to}<-{source}", OPERATIONS) for source, to in _EDGES]


def _build_micro(choose: Choose, fidelity: Fidelity, classes: int, in_channels: int) -> TransNASNet:
    return TransNASNet(SKELETON, _choose_cell(choose), fidelity, classes, in_channels)


def _write_cell(choices: Choices) -> str:
    digits = [OPERATIONS.index(str(operation)) for _, operation in choices]
    return "{}-{}-{}_{}{}_{}{}{}".format(CHANNELS, SKELETON, *digits)


def _read_cell(code: str) -> Choices:
    if not re.fullmatch(f"{CHANNELS}-{SKELETON}-[0-3]_[0-3]{{2}}_[0-3]{{3}}", code):
        raise InputError(
            f"an architecture of space transnas_micro reads like '{CHANNELS}-{SKELETON}-1_02_333', with six digits "
            f"from 0 to 3 at the end, but got {code!r}"
        )
    digits = code.rpartition("-")[2].replace("_", "")
    return tuple([(f"{b}<-{a}", OPERATIONS[int(digit)]) for (a, b), digit in zip(_EDGES, digits, strict=True)])


def _cell_key(code: str) -> str:
    """The key of a cell that halves the image, where a skip of the input learns; the others then agree as well."""
    operations = [str(operation) for _, operation in _read_cell(code)]
    edges = [
        ("reduce" if operation == SKIP and source == 0 else operation, source, to)
        for operation, (source, to) in zip(operations, _EDGES, strict=True)
    ]
    return cell_key(
        1, [[(operation, source) for operation, source, to in edges if to == node] for node in (1, 2, 3)], [3]
    )


def _choose_modules(choose: Choose) -> str:
    """Ask for the number of modules, then for each in turn, among those a skeleton of that length can have."""
    count = choose.int("modules", 4, 6)
    skeleton = ""
    for i in range(count):
        skeleton += choose.one_of(f"module{i + 1}", _next_modules(skeleton, count))
    return skeleton


@lru_cache
def _next_modules(skeleton: str, count: int) -> tuple[str, ...]:
    return tuple([module for module in "1234" if _possible(skeleton + module, count)])


def _possible(skeleton: str, count: int) -> bool:
    """Whether a skeleton of `count` modules may begin like this: its last module, if to come, can still do both."""
    doubles = sum(module in "24" for module in skeleton)
    halves = sum(module in "34" for module in skeleton)
    return doubles <= 3 and halves <= 4 and (len(skeleton) < count or (doubles >= 1 and halves >= 1))


@lru_cache
def _skeletons() -> tuple[str, ...]:
    """Every skeleton, short ones first."""
    every = ["".join(modules) for count in (4, 5, 6) for modules in itertools.product("1234", repeat=count)]
    return tuple([skeleton for skeleton in every if _possible(skeleton, len(skeleton))])


def _build_macro(choose: Choose, fidelity: Fidelity, classes: int, in_channels: int) -> TransNASNet:
    return TransNASNet(_choose_modules(choose), None, fidelity, classes, in_channels)


def _write_modules(choices: Choices) -> str:
    return f"{CHANNELS}-{''.join([str(module) for _, module in choices[1:]])}-basic"


def _read_modules(code: str) -> Choices:
    match = re.fullmatch(f"{CHANNELS}-([1-4]{{4,6}})-basic", code)
    if not match:
        raise InputError(
            f"an architecture of space transnas_macro reads like '{CHANNELS}-1234-basic', with four to six digits from "
            f"1 to 4, but got {code!r}"
        )
    skeleton = match[1]
    if not _possible(skeleton, len(skeleton)):
        raise InputError(
            "a skeleton of space transnas_macro doubles the channels one to three times (modules 2 and 4) and halves "
            f"the image one to four times (modules 3 and 4), but got {code!r}"
        )
    count: tuple[str, Value] = ("modules", len(skeleton))
    return (count, *[(f"module{i}", module) for i, module in enumerate(skeleton, start=1)])
