"""Space `nasbench101`: the 423,624 cells of NAS-Bench-101."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import FULL, Fidelity, as_fidelity
from zerocost.spaces.architecture import Architecture, check_architecture, check_text
from zerocost.spaces.base import SearchSpace, Vector, check_sizes
from zerocost.spaces.choose import Choose
from zerocost.spaces.dag import Dag, Edge, count_renumberings, distinct_graphs, edge_sets, graph_hash, prune
from zerocost.spaces.nasbench101_network import OPERATIONS, CellNetwork

MOST_VERTICES, _MOST_EDGES = 7, 9
_PAIRS = tuple(itertools.combinations(range(MOST_VERTICES), 2))
_CHANNELS, _CELLS = 128, 3
_LIMITS = f"the input must reach the output, with at most {MOST_VERTICES} vertices and {_MOST_EDGES} edges on the way"


class NASBench101(SearchSpace):
    """The space that `space` makes."""

    name = "nasbench101"
    size = 423_624

    def __init__(self, classes: int, in_channels: int) -> None:
        self.classes, self.in_channels = classes, in_channels

    def from_matrix(self, matrix: Sequence[Sequence[int]], operations: Sequence[str]) -> Architecture:
        """The architecture of an adjacency matrix, as NAS-Bench-101 has it, without the vertices that are dead.

        Args:
            matrix: entry [i][j] is 1 for an edge from vertex i to j > i.
            operations: one name a vertex, the benchmark's (`"conv3x3-bn-relu"`) or that of this library (`"conv3x3"`);
                the first and last are `"input"` and `"output"`.

        Raises:
            InputError: not a cell of the space.

        >>> space().from_matrix([[0, 1, 1], [0, 0, 1], [0, 0, 0]], ["input", "conv3x3-bn-relu", "output"]).text
        'conv3x3~0|output~01'
        """
        edges = [(source, to) for source, row in enumerate(matrix) for to, entry in enumerate(row) if entry]
        rows = [len(row) for row in matrix]
        if len(operations) < 2 or rows != [len(operations)] * len(operations) or any(s >= t for s, t in edges):
            raise InputError(
                "a cell needs a matrix with a row and a column for each operation, 0 up to its diagonal, but got "
                f"{matrix} for {len(operations)} operations"
            )
        labels = tuple([operation.removesuffix("-bn-relu") for operation in operations[1:-1]])
        for operation in labels:
            if operation not in OPERATIONS:
                raise unknown("operation", operation, OPERATIONS)
        dag = _legal(Dag(labels, frozenset(edges)))
        if dag is None:
            raise InputError(f"{matrix} is no cell of space nasbench101: {_LIMITS}")
        return _architecture(dag)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Each of the 423,624 cells is equally likely."""
        graphs, ends = _graphs()
        while True:
            vertices, edges = graphs[np.searchsorted(ends, rng.random() * ends[-1], side="right")]
            labels = rng.choice(tuple(OPERATIONS), size=vertices - 2).tolist()
            dag = Dag(tuple(labels), frozenset(edges))
            if rng.random() * count_renumberings(dag) < 1:
                return _architecture(dag)

    def choose(self, choose: Choose) -> Architecture:
        """Asks for the number of vertices, for each operation, and for each possible edge whether it is there."""
        vertices = choose.int("vertices", 2, MOST_VERTICES)
        labels = [choose.one_of(f"operation{vertex}", tuple(OPERATIONS)) for vertex in range(1, vertices - 1)]
        pairs = itertools.combinations(range(vertices), 2)
        edges = frozenset([(s, t) for s, t in pairs if choose.bool(f"edge{s}-{t}")])
        dag = _legal(Dag(tuple(labels), edges))
        if dag is None:
            raise InputError(f"these edges make no cell of space nasbench101: {_LIMITS}")
        return _architecture(dag)

    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        """An edge more or less, another operation, or a vertex more, put on the way from one vertex to another."""
        seen = {check_architecture(arch).text}
        for changed in _changes(_read(arch.text)):
            dag = _legal(changed)
            neighbor = _architecture(dag) if dag else arch
            if neighbor.text not in seen:
                seen.add(neighbor.text)
                yield neighbor

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        near = list(self.neighbors(arch))
        return near[rng.integers(len(near))]

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """Each possible edge and each operation from either parent; `a` when 100 such children are not legal."""
        (labels, edges), (others, other_edges) = (_spread(_read(check_architecture(parent).text)) for parent in (a, b))
        pairs = [(x or y, y or x) for x, y in zip(labels, others, strict=True)]
        for _ in range(100):
            child_edges = [e for e in _PAIRS if e in (edges, other_edges)[rng.integers(2)]]
            child_labels = [pair[rng.integers(2)] for pair in pairs]
            if dag := _legal(Dag(tuple(child_labels), frozenset(child_edges))):
                return _architecture(dag)
        return a

    def encode(self, arch: Architecture) -> Vector:
        """21 entries for the possible edges between seven vertices, then 3 for the operation of each of the five inner.

        The vertices that a smaller cell lacks are the last before the output.
        """
        labels, edges = _spread(_read(check_architecture(arch).text))
        chosen = [operation == label for label in labels for operation in OPERATIONS]
        return np.array([float(pair in edges) for pair in _PAIRS] + [float(one) for one in chosen])

    def parse(self, text: str) -> Architecture:
        return _architecture(_read(check_text(text)))

    def build(self, arch: Architecture, fidelity: Fidelity | str = FULL) -> CellNetwork:
        scale, dag = as_fidelity(fidelity), _read(check_architecture(arch).text)
        channels, cells = scale.channels(_CHANNELS, multiple=8), scale.layers(_CELLS)
        return CellNetwork(dag, channels, cells, self.in_channels, self.classes)

    def __iter__(self) -> Iterator[Architecture]:
        """One architecture of each set of twins, small ones first."""
        for vertices in range(2, MOST_VERTICES + 1):
            yield from map(_architecture, distinct_graphs(vertices, tuple(OPERATIONS), _MOST_EDGES))

    def canonical(self, arch: Architecture) -> str:
        """The benchmark's own hash, by which its data are looked up."""
        return graph_hash(_read(check_architecture(arch).text), tuple(OPERATIONS))


@lru_cache(maxsize=1)
def _graphs() -> tuple[list[tuple[int, tuple[Edge, ...]]], Vector]:
    """All (vertices, edges) of cells, and how many cells, one a labelling, those up to each make."""
    graphs = [(n, edges) for n in range(2, MOST_VERTICES + 1) for edges in edge_sets(n, _MOST_EDGES)]
    return graphs, np.cumsum([float(len(OPERATIONS) ** (n - 2)) for n, _ in graphs])


def _legal(dag: Dag) -> Dag | None:
    """What is alive of `dag`, if it is a cell of the space."""
    pruned = prune(dag)
    return pruned if pruned and len(pruned.edges) <= _MOST_EDGES and pruned.output < MOST_VERTICES else None


def _changes(dag: Dag) -> Iterator[Dag]:
    """`dag` after each single change; some of them not legal."""
    labels, edges = dag
    pairs = list(itertools.combinations(range(dag.output + 1), 2))
    for pair in pairs:
        yield Dag(labels, edges ^ {pair})
    for position, operation in itertools.product(range(len(labels)), OPERATIONS):
        yield Dag((*labels[:position], operation, *labels[position + 1 :]), edges)
    for (source, to), operation in itertools.product(pairs, OPERATIONS):
        moved = frozenset([(_after(s, to), _after(t, to)) for s, t in edges])
        yield Dag((*labels[: to - 1], operation, *labels[to - 1 :]), moved | {(source, to), (to, to + 1)})


def _after(vertex: int, inserted: int) -> int:
    """The number of a vertex once another was inserted."""
    return vertex + (vertex >= inserted)


def _spread(dag: Dag) -> tuple[tuple[str, ...], frozenset[Edge]]:
    """Labels, empty for vertices that `dag` lacks, and edges, among seven vertices."""
    labels = dag.labels + ("",) * (MOST_VERTICES - 2 - len(dag.labels))
    return labels, frozenset([(s, MOST_VERTICES - 1 if t == dag.output else t) for s, t in dag.edges])


def _architecture(dag: Dag) -> Architecture:
    names = [*dag.labels, "output"]
    parts = [f"{name}~{''.join(map(str, dag.sources(vertex)))}" for vertex, name in enumerate(names, 1)]
    operations = [(f"operation{vertex}", label) for vertex, label in enumerate(dag.labels, 1)]
    pairs = itertools.combinations(range(dag.output + 1), 2)
    edges = [(f"edge{s}-{t}", (s, t) in dag.edges) for s, t in pairs]
    return Architecture("|".join(parts), (("vertices", dag.output + 1), *operations, *edges))


def _read(text: str) -> Dag:
    """The cell that `text` names; raises `InputError` for a text that no architecture has."""
    if not re.fullmatch(r"(\w+~\d+\|)*output~\d+", text, re.ASCII):
        raise InputError(
            "an architecture of space nasbench101 reads like 'conv3x3~0|maxpool3x3~01|output~02', each vertex with "
            f"those before it that lead to it, 0 being the input; but got {text!r}"
        )
    parts = [part.split("~") for part in text.split("|")]
    labels = tuple([name for name, _ in parts[:-1]])
    for operation in labels:
        if operation not in OPERATIONS:
            raise unknown("operation", operation, OPERATIONS)
    edges = frozenset([(int(source), to) for to, (_, sources) in enumerate(parts, 1) for source in sources])
    if any(source >= to for source, to in edges):
        raise InputError(f"a vertex of {text!r} is fed by itself or a later one; feed it from those before it")
    dag = _legal(Dag(labels, edges))
    if dag is None:
        raise InputError(f"{text!r} is no cell of space nasbench101: {_LIMITS}")
    if _architecture(dag).text != text:
        raise InputError(
            f"{text!r} has a vertex on no path from input to output, or sources out of order; write "
            f"{_architecture(dag).text!r}"
        )
    return dag


def space(classes: int = 10, in_channels: int = 3, resolution: int = 32) -> NASBench101:
    """NAS-Bench-101 (Ying et al., ICML 2019): the networks of 423,624 different cells.

    A cell is a graph of at most seven vertices and nine edges from an input to an output; each inner vertex is
    `conv3x3`, `conv1x1` (both with batch normalisation and ReLU) or `maxpool3x3`. Its text lists the vertices after the
    input, each with the numbers of those that lead to it: `conv3x3~0|maxpool3x3~01|output~02`. An architecture is a
    cell without dead vertices; isomorphic cells are twins, whose key is the benchmark's hash, and iteration yields
    one of each. At full fidelity `build` gives the network the benchmark trained, with its first weights: a stem of
    128 channels, then three stacks of three cells, image halved and channels doubled between.

    A fidelity's `width` scales channels, by eights; its `depth` the cells a stack. The network takes images of any
    size; `resolution` is not used.

    Raises:
        InputError: fewer than one class or channel.

    >>> nasbench101 = space()
    >>> arch = nasbench101.parse("conv3x3~0|maxpool3x3~01|output~02")
    >>> nasbench101.canonical(arch)
    '52e567b5b32ee5cbf4a2da75ee75f63f'
    >>> [str(near) for near in nasbench101.neighbors(nasbench101.parse("output~0"))]
    ['conv3x3~0|output~01', 'conv1x1~0|output~01', 'maxpool3x3~0|output~01']
    >>> sum(p.numel() for p in nasbench101.build(arch, Fidelity(width=0.25)).parameters())
    751018
    """
    check_sizes("nasbench101", classes, in_channels)
    return NASBench101(classes, in_channels)
