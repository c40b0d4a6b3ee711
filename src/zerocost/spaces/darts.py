"""Space `darts`: the cells of DARTS in the network that NAS-Bench-301 trained."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from zerocost.base.fidelity import FULL, Fidelity, as_fidelity
from zerocost.spaces.architecture import Architecture, Value, check_architecture
from zerocost.spaces.base import check_sizes
from zerocost.spaces.choose import Choose, Options
from zerocost.spaces.coded import Choices, Code, CodedSpace
from zerocost.spaces.darts_code import NODES, Cell, Edge, Genotype, node_edges, parse_genotype
from zerocost.spaces.darts_ops import OPERATIONS, FactorizedReduce, ReLUConvNorm, Zero
from zerocost.spaces.mixture import Mixed, Mixture, Weights
from zerocost.spaces.twins import SKIP, cell_key

_CHANNELS, _CELLS = 32, 8
"""What NAS-Bench-301 trained; the DARTS paper trained 36 channels and 20 cells in the end."""
_INPUTS = {node: tuple([f"{a}_{b}" for a, b in itertools.combinations(range(node), 2)]) for node in NODES}


class Node(nn.Module):
    """One node of a cell: the sum of its two edges."""

    def __init__(self, edges: Sequence[Edge], channels: int, reduction: bool) -> None:
        super().__init__()
        self.sources = [source for _, source in edges]
        self.operations = nn.ModuleList()
        for operation, source in edges:
            stride = 2 if reduction and source < 2 else 1
            self.operations.append(OPERATIONS.get(operation, Zero)(channels, stride))

    def forward(self, states: list[Tensor]) -> Tensor:
        terms = [operation(states[source]) for operation, source in zip(self.operations, self.sources, strict=True)]
        total: Tensor = terms[0] + terms[1]
        return total


class MixedNode(nn.Module):
    """A node fed by every operation on every input; see `DARTS.mixture`."""

    def __init__(self, node: int, channels: int, reduction: bool) -> None:
        super().__init__()
        strides = [2 if reduction and source < 2 else 1 for source in range(node)]
        mixed = [Mixed([make(channels, stride) for make in OPERATIONS.values()]) for stride in strides]
        self.edges = nn.ModuleList(mixed)

    def forward(self, states: list[Tensor]) -> Tensor:
        total: Tensor = reduce(torch.add, [mixed(state) for mixed, state in zip(self.edges, states, strict=True)])
        return total


class DARTSCell(nn.Module):
    """Two inputs brought to one shape, four nodes, their channels side by side."""

    def __init__(self, cell: Cell, before: int, last: int, channels: int, reduction: bool, reduced: bool) -> None:
        super().__init__()
        self.channels, self.reduction = channels, reduction
        prepare = FactorizedReduce if reduced else ReLUConvNorm
        self.inputs = nn.ModuleList([prepare(before, channels), ReLUConvNorm(last, channels)])
        self.nodes = nn.ModuleList([Node(edges, channels, reduction) for _, *edges in node_edges(cell)])

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        states = [prepare(x) for prepare, x in zip(self.inputs, (before, last), strict=True)]
        for node in self.nodes:
            states.append(node(states))
        return torch.cat(states[2:], dim=1)


class DARTSNet(nn.Module):
    """Stem, cells, classifier. The cells at one and two thirds halve the image and double the channels.

    The network of the DARTS code without auxiliary head and path dropping, which are for training.
    """

    def __init__(self, genotype: Genotype, channels: int, cells: int, classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        before = last = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, last, 3, padding=1, bias=False), nn.BatchNorm2d(last))
        self.cells = nn.ModuleList()
        reduced = False
        for i in range(cells):
            reduction = i in (cells // 3, 2 * cells // 3)
            channels = 2 * channels if reduction else channels
            cell = genotype.reduce if reduction else genotype.normal
            self.cells.append(DARTSCell(cell, before, last, channels, reduction, reduced))
            before, last, reduced = last, len(NODES) * channels, reduction
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last, classes)

    def forward(self, images: Tensor) -> Tensor:
        before = last = self.stem(images)
        for cell in self.cells:
            before, last = last, cell(before, last)
        logits: Tensor = self.classifier(self.pool(last).flatten(1))
        return logits


class DARTS(CodedSpace):
    """See `space`. What is parsed keeps its spelling, and may be a genotype that the space does not draw."""

    def build(self, arch: Architecture, fidelity: Fidelity | str = FULL) -> nn.Module:
        answers = dict(self.parse(str(check_architecture(arch))).choices)
        return self._build(Choose(lambda name, options: answers[name]), as_fidelity(fidelity))

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        child = super().crossover(a, b, rng)
        return next((parent for parent in (a, b) if parent.choices == child.choices), child)

    def mixture(self, fidelity: Fidelity = FULL) -> Mixture:
        """All cells in one network; see `zerocost.spaces.mixture`. A node has each operation once on each input."""
        network = self.build(self.sample(np.random.default_rng(0)), fidelity)
        mixed: dict[tuple[str, int, int], list[Mixed]] = {}
        edges = [(node, source) for node in NODES for source in range(node)]
        for cell in network.modules():
            if isinstance(cell, DARTSCell):
                kind = "reduce" if cell.reduction else "normal"
                nodes = [MixedNode(node, cell.channels, cell.reduction) for node in NODES]
                for to, source in edges:
                    mixed.setdefault((kind, to, source), []).append(cast(Mixed, nodes[to - 2].edges[source]))
                cell.nodes = nn.ModuleList(nodes)
        asked: dict[str, Options] = {}

        def first(name: str, options: Options) -> Value:
            asked[name] = options
            return options[0]

        self._choose(Choose(first))
        return Mixture(network, asked, [(same, partial(_coefficients, *edge)) for edge, same in mixed.items()])


def space(classes: int = 10, in_channels: int = 3, resolution: int = 32) -> DARTS:
    """The DARTS space (Liu et al., ICLR 2019) as NAS-Bench-301 trained it (Zela et al., ICLR 2022).

    Its 1.08 · 10¹⁸ architectures are a normal and a reduction cell, each of four nodes that add two operations on
    different inputs: the two cells before, or earlier nodes. The seven operations are 3×3 maximum and average
    pooling, skip, separable convolutions and dilated separable convolutions of kernels 3 and 5. The network has eight
    cells and 32 channels.

    An architecture is written as DARTS code prints a genotype, with a node's edges in the order of their inputs. Other
    spellings are read and kept, too: edges in any order, `range(2, 6)` for the concats. Genotypes with `'none'` or with
    two edges from one input are read, built, encoded and compared, but never drawn, and `mutate` and `neighbors` raise
    `InputError` for them. Twins are genotypes that differ in spelling, in the order of nodes, or in the way skips lead
    to the same sums.

    A fidelity's `width` scales channels, its `depth` the number of cells, down to three. The network takes images of
    any size; `resolution` is not used.

    Raises:
        InputError: fewer than one class or channel.

    >>> cell = "[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
    >>> cell += "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)]"
    >>> text = f"Genotype(normal={cell}, normal_concat=range(2, 6), reduce={cell}, reduce_concat=range(2, 6))"
    >>> darts = space()
    >>> str(darts.parse(text)) == text, darts.size
    (True, 1076746950455072400)
    """
    check_sizes("darts", classes, in_channels)
    build = partial(_build, classes=classes, in_channels=in_channels)
    in_a_cell = math.prod([len(inputs) * len(OPERATIONS) ** 2 for inputs in _INPUTS.values()])
    return DARTS("darts", _choose, build, in_a_cell**2, Code(_write, _read, _key))


def _choose(choose: Choose) -> Genotype:
    """Ask for every choice of the space; `a` is the operation on the first of a node's inputs, `b` on the second."""
    operations = tuple(OPERATIONS)
    cells: list[Cell] = []
    for cell in ("normal", "reduce"):
        edges: list[Edge] = []
        for node in NODES:
            inputs = choose.one_of(f"{cell}_{node}_inputs", _INPUTS[node])
            for name, source in zip("ab", inputs.split("_"), strict=True):
                edges.append((choose.one_of(f"{cell}_{node}_{name}", operations), int(source)))
        cells.append(tuple(edges))
    return Genotype(*cells)


def _coefficients(cell: str, node: int, source: int, weights: Weights) -> Tensor:
    """The weight of each operation on an input of a node: as the first of two, or as the second."""
    inputs, a, b = (weights[f"{cell}_{node}_{choice}"] for choice in ("inputs", "a", "b"))
    pairs = [[int(number) for number in pair.split("_")] for pair in _INPUTS[node]]
    first, second = torch.tensor(pairs).eq(source).to(inputs).T
    coefficients: Tensor = (inputs @ first) * a + (inputs @ second) * b
    return coefficients


def _build(choose: Choose, fidelity: Fidelity, classes: int, in_channels: int) -> DARTSNet:
    cells = max(3, fidelity.layers(_CELLS))
    return DARTSNet(_choose(choose), fidelity.channels(_CHANNELS), cells, classes, in_channels)


def _write(choices: Choices) -> str:
    answers = dict(choices)
    return str(_choose(Choose(lambda name, options: answers[name])))


def _read(text: str) -> Choices:
    choices: list[tuple[str, Value]] = []
    for name, cell in parse_genotype(text)._asdict().items():
        for node, *edges in node_edges(cell):
            (a, first), (b, second) = sorted(edges, key=lambda edge: (edge[1], edge[0]))
            prefix = f"{name}_{node}_"
            choices += [(prefix + "inputs", f"{first}_{second}"), (prefix + "a", a), (prefix + "b", b)]
    return tuple(choices)


def _key(text: str) -> str:
    """The keys of both cells; in a reduction cell a skip of an input is `FactorizedReduce`, which learns."""
    genotype = parse_genotype(text)
    halving = tuple([("reduce" if op == SKIP and source < 2 else op, source) for op, source in genotype.reduce])
    keys = [
        cell_key(2, [edges for _, *edges in node_edges(cell)], NODES, ("max_pool_3x3", "avg_pool_3x3"))
        for cell in (genotype.normal, halving)
    ]
    return " ".join(keys)
