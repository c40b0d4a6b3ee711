"""Cells as graphs, and their features."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from zerocost.base.errors import InputError
from zerocost.spaces import (
    SearchSpace,
    darts_code,
    darts_ops,
    macro,
    nasbench101,
    nasbench101_network,
    nasbench201,
    transnas,
)
from zerocost.spaces.architecture import Architecture

_LINK = ""
"""The operation of an edge that only passes its input on, as from the nodes of a DARTS cell to its output."""
_Edge = tuple[int, int, str]
_Flags = npt.NDArray[np.bool_]


class _CellGraph(NamedTuple):
    """A graph of `nodes` nodes, the first `inputs` of them inputs and the last the output.

    Edges are (from, to, operation), from a lower node to a higher one; there may be several between two nodes.
    """

    inputs: int
    nodes: int
    edges: tuple[_Edge, ...]


class _CellView(NamedTuple):
    """How the architectures of a space are seen as cells.

    Attributes:
        operations: the operations that pass something on.
        cells: gives the cells of an architecture, by name.
    """

    operations: tuple[str, ...]
    cells: Callable[[Architecture], dict[str, _CellGraph]]


def _nasbench101_cells(arch: Architecture) -> dict[str, _CellGraph]:
    """Operations stand on the nodes: each edge has that of the node it leads to. Smaller cells lack the last nodes."""
    last = nasbench101.MOST_VERTICES - 1
    choices = dict(arch.choices)
    output = int(str(choices["vertices"])) - 1
    pairs = itertools.combinations(range(output + 1), 2)
    edges = [(s, t) for s, t in pairs if choices[f"edge{s}-{t}"]]
    with_operations = [(s, last, _LINK) if t == output else (s, t, str(choices[f"operation{t}"])) for s, t in edges]
    return {"cell": _CellGraph(1, last + 1, tuple(with_operations))}


def _four_node_cells(arch: Architecture) -> dict[str, _CellGraph]:
    """Four nodes with a choice on each edge, called `to<-from`, as in `nasbench201` and `transnas_micro`."""
    edges = [(*name.split("<-"), str(operation)) for name, operation in arch.choices]
    return {"cell": _CellGraph(1, 4, tuple([(int(source), int(to), operation) for to, source, operation in edges]))}


def _darts_cells(arch: Architecture) -> dict[str, _CellGraph]:
    output = darts_code.NODES[-1] + 1
    cells = {}
    for name, cell in darts_code.parse_genotype(str(arch))._asdict().items():
        inner = [
            (source, node, operation) for node, *edges in darts_code.node_edges(cell) for operation, source in edges
        ]
        cells[name] = _CellGraph(2, output + 1, (*inner, *[(node, output, _LINK) for node in darts_code.NODES]))
    return cells


def _macro_cells(arch: Architecture) -> dict[str, _CellGraph]:
    """Each stage as a chain."""
    layers = iter([str(operation) for _, operation in arch.choices])
    stages = {f"stage{i}": list(itertools.islice(layers, length)) for i, length in enumerate(macro.STAGES, 1)}
    return {
        name: _CellGraph(1, len(chain) + 1, tuple([(i, i + 1, operation) for i, operation in enumerate(chain)]))
        for name, chain in stages.items()
    }


def _without_none(operations: Sequence[str]) -> tuple[str, ...]:
    return tuple([operation for operation in operations if operation != "none"])


VIEWS = {
    "darts": _CellView(tuple(darts_ops.OPERATIONS), _darts_cells),
    "macro": _CellView(macro.OPERATIONS, _macro_cells),
    "nasbench101": _CellView(tuple(nasbench101_network.OPERATIONS), _nasbench101_cells),
    "nasbench201": _CellView(_without_none(tuple(nasbench201.OPERATIONS)), _four_node_cells),
    "transnas_micro": _CellView(_without_none(transnas.OPERATIONS), _four_node_cells),
}
"""The spaces whose architectures are cells, by name."""


def graph_features(space: SearchSpace, architectures: Sequence[str]) -> pd.DataFrame:
    """The features of GRAF (Kadlečová et al., ICML 2024): how often operations occur, and where they lie on the paths.

    Only edges on a path from an input to the output count. For each operation there is its `count`; and for each set of
    operations:

    - `shortest`: number of edges on the shortest path to the output through operations of the set only, or the number
      of nodes where there is no such path;
    - `longest`: number of operations of the set on the path that has most of them;
    - `leaving` and `arriving`: number of edges of the set that leave the input and that arrive at the output.

    With several inputs there is one of each for every input; with several cells, one for every cell. For up to four
    operations, the sets are all subsets; for more, those of one, of two and of all operations.

    Args:
        space: `darts`, `macro` (whose stages are chains), `nasbench101`, `nasbench201` or `transnas_micro`.
        architectures: texts of its architectures.

    Returns:
        One row an architecture, one column a feature.

    Raises:
        InputError: the space has no cells, or a text is no architecture of it.

    >>> from zerocost import spaces
    >>> text = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
    >>> row = graph_features(spaces.get("nasbench201"), [text]).iloc[0]
    >>> row[["count(nor_conv_3x3)", "shortest(skip_connect)", "longest(nor_conv_1x1|nor_conv_3x3)"]].tolist()
    [1.0, 1.0, 2.0]
    """
    reason = reason_without_cells(space)
    if reason:
        raise InputError(reason)
    view = VIEWS[space.name]
    seen = [view.cells(space.parse(text)) for text in architectures]
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for name in seen[0] if seen else ():
        prefix = "" if name == "cell" else f"{name}:"
        columns |= {prefix + feature: values for feature, values in _cell_features([each[name] for each in seen], view)}
    return pd.DataFrame(columns, index=pd.Index(list(architectures)), dtype=float)


def reason_without_cells(space: SearchSpace) -> str | None:
    """Why a space has no graph features; None for one that has."""
    if space.name in VIEWS:
        return None
    return (
        f"space {space.name!r} has no cells and so no graph features, which {', '.join(VIEWS)} have; leave out the "
        "part 'graph'"
    )


def _cell_features(cells: Sequence[_CellGraph], view: _CellView) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """(name, one value a cell) of each feature."""
    inputs, nodes = cells[0].inputs, cells[0].nodes
    edges = _live_edges(cells, (*view.operations, _LINK))
    present, links = edges.any(1), edges[:, -1]
    for number, operation in enumerate(view.operations):
        yield f"count({operation})", edges[:, number].sum((1, 2)).astype(float)
    for chosen in _operation_sets(len(view.operations)):
        title = "|".join([view.operations[number] for number in chosen])
        of_set = edges[:, list(chosen)]
        within = of_set.any(1)
        lengths = np.where(links, 0.0, np.where(within, 1.0, np.inf))
        gains = np.where(within, 1.0, np.where(present, 0.0, -np.inf))
        for start in range(inputs):
            of_input = f"({title})" if inputs == 1 else f"({title}) of input {start}"
            shortest, longest = (
                _best_path(lengths, start, np.minimum, np.inf),
                _best_path(gains, start, np.maximum, -np.inf),
            )
            yield f"shortest{of_input}", np.where(np.isinf(shortest), float(nodes), shortest)
            yield f"longest{of_input}", np.where(np.isinf(longest), 0.0, longest)
            yield f"leaving{of_input}", of_set[:, :, start].sum((1, 2)).astype(float)
        yield f"arriving({title})", _count_arriving(of_set, links).astype(float)


def _live_edges(cells: Sequence[_CellGraph], operations: Sequence[str]) -> _Flags:
    """Cells × operations × from × to: which edges are on a path from an input to the output."""
    inputs, nodes = cells[0].inputs, cells[0].nodes
    number = {operation: i for i, operation in enumerate(operations)}
    edges = np.zeros((len(cells), len(operations), nodes, nodes), dtype=bool)
    for i, cell in enumerate(cells):
        for source, to, operation in cell.edges:
            if operation in number:
                edges[i, number[operation], source, to] = True
    present: _Flags = np.any(edges, axis=1)
    reached, needed = np.zeros((len(cells), nodes), dtype=bool), np.zeros((len(cells), nodes), dtype=bool)
    reached[:, :inputs] = needed[:, -1] = True
    for node in range(inputs, nodes):
        reached[:, node] = np.any(reached & present[:, :, node], axis=1)
    for node in reversed(range(nodes - 1)):
        needed[:, node] = np.any(needed & present[:, node], axis=1)
    return edges & reached[:, None, :, None] & needed[:, None, None, :]


def _best_path(steps: npt.NDArray[np.float64], start: int, best: np.ufunc, none: float) -> npt.NDArray[np.float64]:
    """The sum of `steps` along the best path from node `start` to the last, `none` where there is no path."""
    total = np.full(steps.shape[:2], none)
    total[:, start] = 0.0
    for node in range(start + 1, steps.shape[2]):
        total[:, node] = best.reduce(total + steps[:, :, node], axis=1)
    return total[:, -1]


def _count_arriving(of_set: _Flags, links: _Flags) -> npt.NDArray[np.int64]:
    """Edges of a set into the output, or into a node that is linked to it."""
    linked = links[:, :, -1].copy()
    linked[:, -1] = True
    count: npt.NDArray[np.int64] = (of_set & linked[:, None, None, :]).sum((1, 2, 3))
    return count


def _operation_sets(count: int) -> list[tuple[int, ...]]:
    """Sets of the numbers below `count`: all sets for up to four numbers, else those of one, two and all numbers.

    >>> _operation_sets(3)
    [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    """
    sizes = range(1, count + 1) if count <= 4 else (1, 2, count)
    return [chosen for size in sizes for chosen in itertools.combinations(range(count), size)]
