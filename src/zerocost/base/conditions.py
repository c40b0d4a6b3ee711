"""The language of conditions, such as "snip > 0.05 and flash < 1MB": read from text, never run as code."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zerocost.base.errors import InputError, unknown
from zerocost.base.units import UNITS, in_unit_of

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}
_ARITHMETIC: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_EXAMPLE = "write for example 'snip > 0.05 and params < 2e6'"
_DEEPEST = 100
"""How deep a condition may be nested; a sum of n numbers is n − 1 deep."""
_WITH_UNIT = re.compile(rf"(?<![\w.])((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)( ?)({'|'.join(UNITS)})\b")
_MARK = "**"
"""Between a number and its unit in the text that Python reads: an operator that conditions do not have, and that binds
tighter than all others."""
_Values = Mapping[str, Any]
"""A number, or an array of them, for each name; NaN for a missing value."""


@dataclass(frozen=True)
class Clause:
    """One condition: a comparison of names, numbers and + - * / of them, or several joined by `and`, `or`, `not`.

    Attributes:
        text: as it was written.
        names: the names in it, in order.

    >>> clause = parse_clauses("a < 2 or a > 1e3")[0]
    >>> clause.text, clause.names, bool(clause.holds({"a": 20.0}))
    ('a < 2 or a > 1e3', ('a',), False)
    """

    text: str
    node: ast.expr

    @property
    def names(self) -> tuple[str, ...]:
        return _names_in(self.node)

    def holds(self, values: _Values) -> npt.NDArray[np.bool_]:
        """Whether it holds, for each value. A value that is NaN satisfies neither a condition nor its negation.

        Raises:
            InputError: it is not a condition, or has a name that `values` lacks.
        """
        with np.errstate(all="ignore"):
            return np.asarray(_evaluate_condition(self.node, values), dtype=bool)

    def excess(self, values: Mapping[str, float]) -> float:
        """How far it is from holding: 0 where it holds, else by what share of the bound it is missed, at least 1e-9.

        It is infinite where a value that counts is NaN.

        >>> clause = parse_clauses("a < 2 or b > 4")[0]
        >>> clause.excess({"a": 3.0, "b": 1.0}), clause.excess({"a": 1.0, "b": 1.0})
        (0.5, 0.0)
        """
        return 0.0 if self.holds(values) else max(1e-9, _missed_by(self.node, values))


def parse_clauses(where: str) -> list[Clause]:
    """The conditions that `and` joins in a text; `InputError` for a text that is not a condition.

    A number may have a unit, which is read in the unit of the quantity that it is compared with.

    >>> [clause.text for clause in parse_clauses("a > 1e3 and (flash < 2kB or b > 3)")]
    ['a > 1e3', 'flash < 2kB or b > 3']
    >>> bool(parse_clauses("latency < 0.5s")[0].holds({"latency": 400}))
    True
    """
    if not isinstance(where, str):
        raise InputError(f"conditions are a text, but got {where!r:.60}; {_EXAMPLE}")
    given = where.strip()
    if _MARK in given:
        raise InputError(f"cannot read the condition {given!r:.200}: it has {_MARK}; {_EXAMPLE}")
    where = _WITH_UNIT.sub(rf"\1{_MARK}\2\3", given)
    try:
        tree = ast.parse(where, mode="eval").body
        depth = _depth(tree)
    except SyntaxError as error:
        reason = error.msg
        if reason == "invalid decimal literal":
            reason = f"a number is followed by what is no unit; the units are {', '.join(UNITS)}"
        raise InputError(f"cannot read the condition {given!r:.200}: {reason}; {_EXAMPLE}") from None
    except (RecursionError, MemoryError, ValueError) as error:  # what Python says of very deep texts, or of a null
        reason = str(error) or "it is nested too deeply"
        raise InputError(f"cannot read the condition {given!r:.200}: {reason}; {_EXAMPLE}") from None
    if depth > _DEEPEST:
        raise InputError(f"the condition {given!r:.60}… is nested {depth} deep, at most {_DEEPEST} is possible")
    parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
    texts = [(ast.get_source_segment(where, part) or where).replace(_MARK, "") for part in parts]
    return [Clause(text, _Converted().visit(part)) for text, part in zip(texts, parts, strict=True)]


class _Converted(ast.NodeTransformer):
    """Puts numbers in the place of those with units."""

    names: tuple[str, ...] = ()

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        units = {id(number[1]) for part in ast.walk(node) if (number := _number_and_unit(part))}
        found = [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and id(part) not in units]
        self.names = tuple(dict.fromkeys(found))
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        found = _number_and_unit(node)
        if found is None:
            return self.generic_visit(node)
        number, unit = found
        return ast.copy_location(ast.Constant(in_unit_of(self.names, float(number.value), unit.id)), node)


def _number_and_unit(node: ast.AST) -> tuple[Any, ast.Name] | None:
    """The two parts of a number with a unit; None for anything else."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Name):
        return node.left, node.right
    return None


def join_clauses(parts: Iterable[Clause]) -> str | None:
    """The text of several conditions joined by `and`; None if there are none.

    >>> join_clauses(parse_clauses("a > 1e3 and (b < 2 or b > 3)"))
    'a > 1e3 and (b < 2 or b > 3)'
    """
    texts = [f"({part.text})" if isinstance(part.node, ast.BoolOp) else part.text for part in parts]
    return " and ".join(texts) or None


def _evaluate_condition(node: ast.expr, values: _Values) -> Any:
    """Whether a condition holds."""
    if isinstance(node, ast.BoolOp):
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return join.reduce(np.broadcast_arrays(*[_evaluate_condition(part, values) for part in node.values]))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        opposite = ~np.asarray(_evaluate_condition(node.operand, values), dtype=bool)
        for name in _names_in(node):
            opposite = opposite & ~np.isnan(np.asarray(values[name]))
        return opposite
    if isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
        sides = [_evaluate_number(side, values) for side in (node.left, *node.comparators)]
        pairs = zip(node.ops, sides, sides[1:], strict=False)
        parts = [_COMPARE[type(op)](left, right) for op, left, right in pairs]
        return np.logical_and.reduce(np.broadcast_arrays(*parts))
    raise InputError(f"cannot use {ast.unparse(node)!r} as a condition, which compares by <, <=, > or >=; {_EXAMPLE}")


def _missed_by(node: ast.expr, values: _Values) -> float:
    """By what share of its bound a condition is missed; 1 where that has no meaning, infinite where a value is NaN."""
    if isinstance(node, ast.BoolOp):
        parts = [Clause("", part).excess(values) for part in node.values]
        return min(parts) if isinstance(node.op, ast.Or) else sum(parts)
    if not isinstance(node, ast.Compare):
        return 1.0
    sides = [float(_evaluate_number(side, values)) for side in (node.left, *node.comparators)]
    if any(map(math.isnan, sides)):
        return math.inf
    found = 0.0
    for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
        over = left - right if isinstance(op, ast.Lt | ast.LtE) else right - left
        found += max(0.0, over) / (max(abs(left), abs(right)) if right == 0 else abs(right))
    return found if found < float("inf") else 1.0


def _evaluate_number(node: ast.expr, values: _Values) -> Any:
    """The value of one side of a comparison."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        try:
            return np.float64(node.value)
        except OverflowError:
            raise InputError("a number in the condition is too large; write it like 2e6") from None
    if isinstance(node, ast.Name):
        if node.id not in values:
            raise unknown("column", node.id, values, ".frame.columns")
        return np.asarray(values[node.id], dtype=np.float64)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](_evaluate_number(node.left, values), _evaluate_number(node.right, values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _evaluate_number(node.operand, values)
        return -value if isinstance(node.op, ast.USub) else value
    raise InputError(f"cannot use {ast.unparse(node)!r} in a condition; columns, numbers and + - * / are understood")


def _names_in(node: ast.expr) -> tuple[str, ...]:
    """The names in an expression, in order."""
    return tuple(dict.fromkeys([part.id for part in ast.walk(node) if isinstance(part, ast.Name)]))


def _depth(node: ast.AST) -> int:
    """How deep an expression is nested, found without recursion.

    >>> _depth(ast.parse("1 + 2 + 3", mode="eval").body)
    2
    """
    depth, level = 0, [node]
    while level := [part for one in level for part in ast.iter_child_nodes(one) if isinstance(part, ast.expr)]:
        depth += 1
    return depth
