"""Labelled graphs: pruning, hashing, counting."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocost.spaces.dag import Dag, count_renumberings, distinct_graphs, edge_sets, graph_hash, prune

LABELS = ("a", "b", "c")


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    """Any graph of up to six vertices, dead ones included."""
    vertices = draw(st.integers(2, 6))
    labels = [draw(st.sampled_from(LABELS)) for _ in range(vertices - 2)]
    edges = draw(st.sets(st.sampled_from(list(itertools.combinations(range(vertices), 2)))))
    return Dag(tuple(labels), frozenset(edges))


def paths(dag: Dag) -> list[str]:
    """The labels along each path from input to output."""
    found, open_paths = [], [(0, "")]
    while open_paths:
        vertex, word = open_paths.pop()
        for source, to in dag.edges:
            if source == vertex and to == dag.output:
                found.append(word)
            elif source == vertex:
                open_paths.append((to, word + dag.labels[to - 1]))
    return sorted(found)


def renumbered(dag: Dag) -> set[Dag]:
    """`dag` with its inner vertices in every order in which edges go upwards."""
    graphs = set()
    for inner in itertools.permutations(range(1, dag.output)):
        order = (0, *inner, dag.output)
        edges = frozenset((order[s], order[t]) for s, t in dag.edges)
        if all(s < t for s, t in edges):
            labels = [""] * len(dag.labels)
            for vertex, label in enumerate(dag.labels, 1):
                labels[order[vertex] - 1] = label
            graphs.add(Dag(tuple(labels), edges))
    return graphs


@given(dags())
def test_pruning_leaves_the_paths_and_nothing_else(dag: Dag) -> None:
    pruned = prune(dag)
    if pruned is None:
        assert not paths(dag)
        return
    assert paths(pruned) == paths(dag)
    assert {s for s, _ in pruned.edges} == {*range(pruned.output)}
    assert {t for _, t in pruned.edges} == {*range(1, pruned.output + 1)}
    assert prune(pruned) == pruned


@given(dags())
def test_isomorphic_graphs_share_a_hash(dag: Dag) -> None:
    graphs = renumbered(dag)
    assert len({graph_hash(graph, LABELS) for graph in graphs}) == 1
    assert len(graphs) == count_renumberings(dag)


def test_hashes_tell_all_other_graphs_apart() -> None:
    graphs = [dag for vertices in range(2, 6) for dag in distinct_graphs(vertices, LABELS, 9)]
    assert len({graph_hash(dag, LABELS) for dag in graphs}) == len(graphs) == 1 + 6 + 84 + 2441


def test_every_graph_is_a_renumbering_of_one_listed() -> None:
    listed = [*distinct_graphs(5, LABELS, 9)]
    drawn = itertools.product(edge_sets(5, 9), itertools.product(LABELS, repeat=3))
    assert sum(map(count_renumberings, listed)) == sum(1 for _ in drawn)
    assert {graph for dag in listed for graph in renumbered(dag)} == {
        Dag(labels, frozenset(edges)) for edges in edge_sets(5, 9) for labels in itertools.product(LABELS, repeat=3)
    }


@pytest.mark.parametrize(("vertices", "most_edges"), [(3, 2), (4, 4), (5, 9), (5, 6)])
def test_shapes_are_the_matrices_without_empty_rows_and_columns(vertices: int, most_edges: int) -> None:
    pairs = list(itertools.combinations(range(vertices), 2))
    expected = set()
    for bits in itertools.product((0, 1), repeat=len(pairs)):
        matrix = np.zeros((vertices, vertices))
        for pair, bit in zip(pairs, bits, strict=True):
            matrix[pair] = bit
        if matrix[:-1].any(1).all() and matrix[:, 1:].any(0).all() and matrix.sum() <= most_edges:
            expected.add(tuple(itertools.compress(pairs, bits)))
    found = list(edge_sets(vertices, most_edges))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_listing_is_lazy() -> None:
    assert len(list(itertools.islice(distinct_graphs(7, LABELS, 9), 300))) == 300


def test_a_graph_without_symmetry_has_a_spelling_for_each_order() -> None:
    spread = frozenset((s, t) for v in range(1, 6) for s, t in ((0, v), (v, 6)))
    assert count_renumberings(Dag(("a",) * 5, spread)) == 1
    assert count_renumberings(Dag(("a", "b", "c", "d", "e"), spread)) == math.factorial(5)
