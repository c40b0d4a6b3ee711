"""DARTS genotypes as text: `Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6), …)`."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import NamedTuple

from zerocost.base.errors import InputError, unknown
from zerocost.spaces.darts_ops import OPERATIONS

NODES = range(2, 6)
Edge = tuple[str, int]
Cell = tuple[Edge, ...]
_EXAMPLE = (
    "Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=[2, 3, 4, 5], reduce=[…], reduce_concat=[2, 3, 4, 5])"
)


class Genotype(NamedTuple):
    """Two cells of four nodes; node 2 + i adds the (operation, input) pairs 2 i and 2 i + 1."""

    normal: Cell
    reduce: Cell

    def __str__(self) -> str:
        concat = list(NODES)
        return (
            f"Genotype(normal={list(self.normal)}, normal_concat={concat}, "
            f"reduce={list(self.reduce)}, reduce_concat={concat})"
        )


def node_edges(cell: Cell) -> list[tuple[int, Edge, Edge]]:
    """(number, edge, edge) of each node.

    >>> node_edges((("sep_conv_3x3", 0), ("skip_connect", 1), ("max_pool_3x3", 0), ("skip_connect", 2)))
    [(2, ('sep_conv_3x3', 0), ('skip_connect', 1)), (3, ('max_pool_3x3', 0), ('skip_connect', 2))]
    """
    return [(2 + i, first, second) for i, (first, second) in enumerate(zip(cell[::2], cell[1::2], strict=True))]


@lru_cache(maxsize=4096)
def parse_genotype(text: str) -> Genotype:
    """The genotype that `text` spells, as Python prints it.

    The two edges of a node may be in any order, be `"none"` or come from one input. Both concats must be all four
    nodes, as a list, a tuple or a range.

    Raises:
        InputError: any other text; the message says what is wrong.

    >>> cell = [("sep_conv_3x3", 0), ("skip_connect", 1)] + 3 * [("skip_connect", 2), ("max_pool_3x3", 1)]
    >>> text = f"Genotype(normal={cell}, normal_concat=range(2, 6), reduce={cell}, reduce_concat=[2, 3, 4, 5])"
    >>> parse_genotype(text).reduce[2]
    ('skip_connect', 2)
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise InputError(f"an architecture of space darts reads {_EXAMPLE}, but got {text!r}") from error
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "Genotype" or call.args:
        raise InputError(f"an architecture of space darts reads {_EXAMPLE}, but got {text!r}")
    parts = {str(keyword.arg): keyword.value for keyword in call.keywords}
    names = ("normal", "normal_concat", "reduce", "reduce_concat")
    if sorted(parts) != sorted(names):
        raise InputError(f"a genotype has {', '.join(names)}, but got {', '.join(parts) or 'none of them'} in {text!r}")
    for name in ("normal_concat", "reduce_concat"):
        _check_concat(name, parts[name])
    return Genotype(_cell("normal", parts["normal"]), _cell("reduce", parts["reduce"]))


def _cell(name: str, node: ast.expr) -> Cell:
    cell = _literal(node)
    if not isinstance(cell, list | tuple) or not all(
        isinstance(edge, list | tuple) and len(edge) == 2 for edge in cell
    ):
        raise InputError(f"{name} of a genotype is a list of (operation, input) pairs, but got {ast.unparse(node)!r}")
    if len(cell) != 2 * len(NODES):
        raise InputError(f"{name} of a genotype has two edges for each of 4 nodes, 8 in all, but got {len(cell)}")
    for i, (operation, source) in enumerate(cell):
        if operation != "none" and operation not in OPERATIONS:
            raise unknown("operation", operation, [*OPERATIONS, "none"])
        number = 2 + i // 2
        if type(source) is not int or not 0 <= source < number:
            raise InputError(
                f"node {number} of {name} takes inputs 0 … {number - 1}, but edge {i} of {name} is "
                f"({operation!r}, {source!r})"
            )
    return tuple([(operation, source) for operation, source in cell])


def _check_concat(name: str, node: ast.expr) -> None:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "range" and not node.keywords:
        nodes = [_literal(argument) for argument in node.args] in ([2, 6], [2, 6, 1])
    else:
        nodes = _literal(node) in (list(NODES), tuple(NODES))
    if not nodes:
        raise InputError(f"{name} of a genotype must be all four nodes, [2, 3, 4, 5], but got {ast.unparse(node)}")


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
