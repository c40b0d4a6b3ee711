"""Labelled graphs from an input to an output: pruning, isomorphism, enumeration."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations, product
from typing import NamedTuple

Edge = tuple[int, int]


class Dag(NamedTuple):
    """Vertices 0, the input, to `len(labels) + 1`, the output, with labels for those between.

    An edge is (from, to), always from a lower vertex to a higher one.
    """

    labels: tuple[str, ...]
    edges: frozenset[Edge]

    @property
    def output(self) -> int:
        return len(self.labels) + 1

    def sources(self, vertex: int) -> list[int]:
        """The vertices with an edge to `vertex`, in order."""
        return sorted([source for source, to in self.edges if to == vertex])


def prune(dag: Dag) -> Dag | None:
    """`dag` without the vertices that are on no path from input to output; `None` when there is no such path.

    >>> prune(Dag(("a", "b"), frozenset({(0, 1), (1, 3), (0, 2)})))
    Dag(labels=('a',), edges=frozenset({(0, 1), (1, 2)}))
    """
    reached, needed = {0}, {dag.output}
    for source, to in sorted(dag.edges):
        if source in reached:
            reached.add(to)
    for source, to in sorted(dag.edges, key=lambda edge: -edge[1]):
        if to in needed:
            needed.add(source)
    if dag.output not in reached:
        return None
    number = {old: new for new, old in enumerate(sorted(reached & needed))}
    labels = tuple([label for vertex, label in enumerate(dag.labels, 1) if vertex in number])
    edges = [(number[source], number[to]) for source, to in dag.edges if source in number and to in number]
    return Dag(labels, frozenset(edges))


def graph_hash(dag: Dag, order: Sequence[str]) -> str:
    """The hash of NAS-Bench-101, the same for isomorphic graphs.

    Each vertex starts from its degrees and label, and takes in the hashes of its neighbours as often as there are
    vertices.

    Args:
        dag: the graph.
        order: all labels, in the order that numbers them.
    """
    vertices = range(dag.output + 1)
    before = [dag.sources(vertex) for vertex in vertices]
    after = [[vertex for vertex in vertices if source in before[vertex]] for source in vertices]
    labels = [-1, *map(order.index, dag.labels), -2]
    hashes = [_md5(str((len(after[v]), len(before[v]), labels[v]))) for v in vertices]
    for _ in vertices:
        near = [["".join(sorted([hashes[w] for w in side[v]])) for side in (before, after)] for v in vertices]
        hashes = [_md5(f"{ins}|{outs}|{own}") for (ins, outs), own in zip(near, hashes, strict=True)]
    return _md5(str(sorted(hashes)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def edge_sets(vertices: int, most_edges: int) -> Iterator[tuple[Edge, ...]]:
    """The sorted edges of each graph of `vertices` vertices, all of them on a path from input to output.

    >>> list(edge_sets(3, 9))
    [((0, 1), (1, 2)), ((0, 1), (0, 2), (1, 2))]
    """
    for edges in _edges_into(1, vertices, most_edges - (vertices - 1)):
        if len({source for source, _ in edges}) == vertices - 1:
            yield tuple(sorted(edges))


def _edges_into(vertex: int, vertices: int, spare: int) -> Iterator[tuple[Edge, ...]]:
    """Edges to `vertex` and all after it, at least one to each and `spare` more at most."""
    if vertex == vertices:
        yield ()
        return
    for more in range(min(vertex, spare + 1)):
        for sources in combinations(range(vertex), more + 1):
            for rest in _edges_into(vertex + 1, vertices, spare - more):
                yield (*[(source, vertex) for source in sources], *rest)


def distinct_graphs(vertices: int, labels: Sequence[str], most_edges: int) -> Iterator[Dag]:
    """One of each set of isomorphic graphs in which every vertex is on a path from input to output.

    It is the graph whose edges, and then labels, come first in order.

    Args:
        vertices: number of vertices, input and output included.
        labels: possible labels of the others.
        most_edges: largest number of edges.

    >>> [len(list(distinct_graphs(vertices, "abc", 9))) for vertices in (2, 3, 4, 5)]
    [1, 6, 84, 2441]
    """
    for edges in edge_sets(vertices, most_edges):
        images = list(_renumbered(edges, vertices))
        if min(image for _, image in images) == edges:
            symmetries = [order for order, image in images if image == edges]
            for drawn in product(sorted(labels), repeat=vertices - 2):
                if all(drawn <= _relabelled(drawn, order) for order in symmetries):
                    yield Dag(drawn, frozenset(edges))


def count_renumberings(dag: Dag) -> int:
    """The number of different graphs, `dag` included, that a renumbering of its inner vertices gives.

    >>> count_renumberings(Dag(("a", "b"), frozenset({(0, 1), (0, 2), (1, 3), (2, 3)})))
    2
    """
    images = _renumbered(tuple(sorted(dag.edges)), dag.output + 1)
    return len({(image, _relabelled(dag.labels, order)) for order, image in images})


def _renumbered(edges: tuple[Edge, ...], vertices: int) -> Iterator[tuple[tuple[int, ...], tuple[Edge, ...]]]:
    """(order, edges) for each order of the vertices in which edges still go upwards; vertex v becomes order[v]."""
    for inner in permutations(range(1, vertices - 1)):
        order = (0, *inner, vertices - 1)
        if all(order[source] < order[to] for source, to in edges):
            yield order, tuple(sorted([(order[source], order[to]) for source, to in edges]))


def _relabelled(labels: tuple[str, ...], order: tuple[int, ...]) -> tuple[str, ...]:
    """The labels once vertex v became order[v]."""
    return tuple([label for _, label in sorted(zip(order[1:-1], labels, strict=True))])
