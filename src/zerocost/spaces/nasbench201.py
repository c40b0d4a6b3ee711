"""Space `nasbench201`: the 15,625 cells of NAS-Bench-201, the topology space of NATS-Bench."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial, reduce

import torch
from torch import Tensor, nn

from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import FULL, Fidelity
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import check_sizes
from zerocost.spaces.choose import Choose
from zerocost.spaces.coded import Choices, Code, CodedSpace
from zerocost.spaces.mixture import Mixture, mixture_of_edges

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(from, to) of each edge, in the order of the text."""
_CHANNELS, _CELLS = 16, 5
FORM = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
_PATTERN = re.compile(re.escape(FORM).replace(r"\{\}", r"(\w+)"))


class ReLUConvBN(nn.Module):
    """ReLU, convolution without bias, batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.op = nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.op(x)
        return y


class Zero(nn.Module):
    """Nothing passes."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


def _skip(inputs: int, outputs: int) -> nn.Module:
    """The identity; where the channels change, a 1×1 convolution and batch normalisation."""
    if inputs == outputs:
        return nn.Identity()
    skip = nn.Sequential()
    skip.add_module("conv", nn.Conv2d(inputs, outputs, 1, bias=False))
    skip.add_module("bn", nn.BatchNorm2d(outputs))
    return skip


OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "none": lambda inputs, outputs: Zero(),
    "skip_connect": _skip,
    "nor_conv_1x1": lambda inputs, outputs: ReLUConvBN(inputs, outputs, 1),
    "nor_conv_3x3": lambda inputs, outputs: ReLUConvBN(inputs, outputs, 3),
    "avg_pool_3x3": lambda inputs, outputs: nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
}


class Cell(nn.Module):
    """Four nodes: the input, and three sums over the edges from all nodes before; the last is the output."""

    def __init__(self, operations: Sequence[str], inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            OPERATIONS[operation](outputs if source else inputs, outputs)
            for operation, (source, _) in zip(operations, EDGES, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        nodes, layers = [x], iter(self.layers)
        for _ in range(3):
            nodes.append(reduce(torch.add, [next(layers)(node) for node in nodes]))
        return nodes[-1]


class Reduction(nn.Module):
    """A residual block that halves the image; an odd side is rounded up."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_a = ReLUConvBN(inputs, outputs, 3, stride=2)
        self.conv_b = ReLUConvBN(outputs, outputs, 3)
        pool = nn.AvgPool2d(2, ceil_mode=True)
        self.downsample = nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        body: Tensor = self.conv_b(self.conv_a(x))
        shortcut: Tensor = self.downsample(x)
        return shortcut + body


class CellNetwork(nn.Module):
    """Three stages of cells with a reduction between: N × `in_channels` × H × W images to N × `classes`.

    Args:
        operations: of the cell, one for each of `EDGES`.
        channels: outputs of all cells and reductions, 3·n + 2 of them for n cells a stage.
        in_channels: of the images.
        classes: number of outputs.
    """

    def __init__(self, operations: Sequence[str], channels: Sequence[int], in_channels: int, classes: int) -> None:
        super().__init__()
        first, last, cells = channels[0], channels[-1], len(channels) // 3
        self.stem = nn.Sequential(nn.Conv2d(in_channels, first, 3, padding=1, bias=False), nn.BatchNorm2d(first))
        self.cells = nn.ModuleList()
        for position, (inputs, outputs) in enumerate(itertools.pairwise([first, *channels])):
            reduces = position in (cells, 2 * cells + 1)
            self.cells.append(Reduction(inputs, outputs) if reduces else Cell(operations, inputs, outputs))
        self.lastact = nn.Sequential(nn.BatchNorm2d(last), nn.ReLU(inplace=True))
        self.global_pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last, classes)

    def forward(self, images: Tensor) -> Tensor:
        x: Tensor = self.stem(images)
        for cell in self.cells:
            x = cell(x)
        logits: Tensor = self.classifier(self.global_pooling(self.lastact(x)).flatten(1))
        return logits


class NASBench201(CodedSpace):
    """The space that `space` makes; iteration follows the benchmark's index."""

    def __iter__(self) -> Iterator[Architecture]:
        return (self.parse(FORM.format(*operations)) for operations in _in_official_order())

    def mixture(self, fidelity: Fidelity = FULL) -> Mixture:
        """All cells in one network; see `zerocost.spaces.mixture`."""
        cells = [FORM.format(*[operation] * len(EDGES)) for operation in OPERATIONS]
        networks = [self.build(self.parse(cell), fidelity) for cell in cells]
        names = {
            f"{path}.layers.{i}": f"{to}<-{source}"
            for path, module in networks[0].named_modules()
            if isinstance(module, Cell)
            for i, (source, to) in enumerate(EDGES)
        }
        return mixture_of_edges(networks, tuple(OPERATIONS), names)


def space(classes: int = 10, in_channels: int = 3, resolution: int = 32) -> NASBench201:
    """NAS-Bench-201 (Dong & Yang, ICLR 2020): the networks of 15,625 cells, 6,466 of them distinct.

    A cell has an operation on each of the six edges between four nodes: `none`, `skip_connect`, `nor_conv_1x1`,
    `nor_conv_3x3` or `avg_pool_3x3`. Its text is the benchmark's own, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`; iteration
    follows the benchmark's index, and twins are the cells that the benchmark counts as one. At full fidelity `build`
    gives the network the benchmark trained: 16 channels, five cells a stage, 73,306 to 1,531,546 parameters for 10
    classes, named as in the weights published for it.

    A fidelity's `width` scales channels, its `depth` the cells a stage. The network takes images of any size;
    `resolution` is not used.

    Raises:
        InputError: fewer than one class or channel.

    >>> nasbench201 = space()
    >>> arch = nasbench201.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
    >>> nasbench201.size, sum(p.numel() for p in nasbench201.build(arch).parameters())
    (15625, 344346)
    >>> nasbench201.canonical(arch)
    '#+(#+#)@nor_conv_1x1+0'
    """
    check_sizes("nasbench201", classes, in_channels)
    build = partial(_build, classes=classes, in_channels=in_channels)
    return NASBench201("nasbench201", _choose, build, len(OPERATIONS) ** len(EDGES), Code(_write, _read, _key))


def _choose(choose: Choose) -> list[str]:
    return [choose.one_of(f"{to}<-{source}", tuple(OPERATIONS)) for source, to in EDGES]


def _build(choose: Choose, fidelity: Fidelity, classes: int, in_channels: int) -> CellNetwork:
    c, n = fidelity.channels(_CHANNELS), fidelity.layers(_CELLS)
    channels = [c] * n + [2 * c] * (n + 1) + [4 * c] * (n + 1)
    return CellNetwork(_choose(choose), channels, in_channels, classes)


def _write(choices: Choices) -> str:
    return FORM.format(*[operation for _, operation in choices])


def _read(text: str) -> Choices:
    found = _PATTERN.fullmatch(text)
    if found is None:
        form = FORM.format(*["op"] * len(EDGES))
        raise InputError(f"an architecture of space nasbench201 reads {form!r}, but got {text!r}")
    for operation in found.groups():
        if operation not in OPERATIONS:
            raise unknown("operation", operation, OPERATIONS)
    return tuple([(f"{to}<-{source}", op) for (source, to), op in zip(EDGES, found.groups(), strict=True)])


def _key(text: str) -> str:
    """What the last node computes, in the form by which the benchmark counts 6,466 distinct cells.

    Edges of zeros and of identity are resolved, the terms of a sum sorted; a node that leads nowhere does not appear.
    A convolution of zeros counts as zero: the constant that its normalisation may learn is left out. A node is written
    out wherever it is used, so that one convolution used twice looks like two: the count is the benchmark's, not exact.
    """
    nodes = ["0"]
    operations = [str(operation) for _, operation in _read(text)]
    for node in (1, 2, 3):
        edges = zip(operations, EDGES, strict=True)
        nodes.append(
            "+".join(sorted([_term(operation, nodes[source]) for operation, (source, to) in edges if to == node]))
        )
    return nodes[-1]


def _term(operation: str, source: str) -> str:
    if operation == "none" or source == "#":
        return "#"
    return source if operation == "skip_connect" else f"({source})@{operation}"


@lru_cache(maxsize=1)
def _in_official_order() -> list[tuple[str, ...]]:
    """All combinations, shuffled as the benchmark shuffled them before it numbered them."""
    combinations = list(itertools.product(OPERATIONS, repeat=len(EDGES)))
    random.Random(88).shuffle(combinations)
    return combinations
