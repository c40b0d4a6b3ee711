"""The network of NAS-Bench-101: stacks of a cell that is any small graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor, nn

from zerocost.spaces.dag import Dag

_STACKS = 3


def _conv_bn_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, eps=1e-5, momentum=0.003), nn.ReLU())


OPERATIONS: dict[str, Callable[[int], nn.Module]] = {
    "conv3x3": lambda channels: _conv_bn_relu(channels, channels, 3),
    "conv1x1": lambda channels: _conv_bn_relu(channels, channels, 1),
    "maxpool3x3": lambda channels: nn.MaxPool2d(3, stride=1, padding=1),
}


class Vertex(nn.Module):
    """An operation on the sum of earlier vertices, cut to `channels`, and of the cell's input, projected to them."""

    def __init__(self, operation: str, channels: int, projected: int | None) -> None:
        super().__init__()
        self.channels = channels
        self.projection = None if projected is None else _conv_bn_relu(projected, channels, 1)
        self.operation = OPERATIONS[operation](channels)

    def forward(self, cell_input: Tensor, earlier: list[Tensor]) -> Tensor:
        terms = [x[:, : self.channels] for x in earlier]
        if self.projection is not None:
            terms.append(self.projection(cell_input))
        y: Tensor = self.operation(reduce(torch.add, terms))
        return y


class Cell(nn.Module):
    """The vertices that lead to the output side by side; plus the cell's input, projected, if it leads there too."""

    def __init__(self, dag: Dag, inputs: int, outputs: int) -> None:
        super().__init__()
        self.sources = [dag.sources(vertex) for vertex in range(dag.output + 1)]
        widths = vertex_channels(dag, outputs)
        self.vertices = nn.ModuleList(
            Vertex(operation, widths[vertex], inputs if 0 in self.sources[vertex] else None)
            for vertex, operation in enumerate(dag.labels, 1)
        )
        self.projection = _conv_bn_relu(inputs, outputs, 1) if 0 in self.sources[-1] else None

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for vertex, sources in zip(self.vertices, self.sources[1:], strict=False):
            values.append(vertex(x, [values[source] for source in sources if source]))
        ends = [values[source] for source in self.sources[-1] if source]
        parts = [torch.cat(ends, dim=1)] if ends else []
        if self.projection is not None:
            parts.append(self.projection(x))
        return reduce(torch.add, parts)


class CellNetwork(nn.Module):
    """Three stacks of cells, halved images and doubled channels between: N × `in_channels` × H × W to N × `classes`."""

    def __init__(self, dag: Dag, channels: int, cells: int, in_channels: int, classes: int) -> None:
        super().__init__()
        self.stem = _conv_bn_relu(in_channels, channels, 3)
        self.cells = nn.ModuleList()
        inputs = channels
        for stack in range(_STACKS):
            if stack:
                self.cells.append(nn.MaxPool2d(2, ceil_mode=True))
            for _ in range(cells):
                self.cells.append(Cell(dag, inputs, channels * 2**stack))
                inputs = channels * 2**stack
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(inputs, classes)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        x: Tensor = self.stem(images)
        for cell in self.cells:
            x = cell(x)
        logits: Tensor = self.classifier(self.pooling(x).flatten(1))
        return logits


def _initialise(module: nn.Module) -> None:
    """First weights as in the benchmark: of variance 1 / fan-in, from a normal cut at two deviations; Glorot's last."""
    if isinstance(module, nn.Conv2d):
        deviation = math.sqrt(1 / module.weight[0].numel()) / 0.87962566
        nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def vertex_channels(dag: Dag, outputs: int) -> list[int]:
    """Channels of each vertex of a cell with `outputs` channels; the input's are not decided here and given as 0.

    Those that lead to the output share its channels, the first ones taking what does not divide; any other has as
    many as the widest vertex it leads to.

    >>> vertex_channels(Dag(("conv3x3",) * 3, frozenset({(0, 1), (1, 2), (2, 4), (0, 3), (3, 4)})), 129)
    [0, 65, 65, 64, 129]
    """
    ends = [source for source in dag.sources(dag.output) if source]
    widths = [0] * dag.output + [outputs]
    for vertex in range(dag.output - 1, 0, -1):
        if vertex in ends:
            widths[vertex] = outputs // len(ends) + (ends.index(vertex) < outputs % len(ends))
        else:
            widths[vertex] = max(widths[to] for source, to in dag.edges if source == vertex)
    return widths
