"""select(): keep the candidates worth training, and say of each other why it was dropped."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import pandas as pd

from zerocost.errors import InputError, unknown
from zerocost.tables import ScoreTable

COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}
ARITHMETIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}


def select(
    table: ScoreTable,
    where: str | None = None,
    *,
    percentile: float | None = None,
    top: int | None = None,
    by: str = "rank_score",
) -> ScoreTable:
    """Keep the candidates that pass every filter: `where`, then `percentile`, then `top`.

    Args:
        table: what `rank` returned.
        where: conditions on the table's columns, such as ``"snip > 0.05 and params < 2e6"``: comparisons of columns,
            numbers and + - * / of them, joined by ``and``, ``or``, ``not``. A candidate whose score failed does not
            pass a condition on it.
        percentile: keep those at or above this percentile (0 to 100) of `by` among all that were ranked.
        top: keep at most this many, best first by `by`.
        by: the column that percentile and top go by.

    Returns:
        The survivors, best first; its `dropped` says for each other candidate which filter dropped it and why.

    Raises:
        InputError: a condition that cannot be read or names no column, or a setting out of range.

    >>> import torch, zerocost as zc
    >>> nets = [lambda w=w: torch.nn.Linear(4, w) for w in (2, 3, 4)]
    >>> table = zc.rank(nets, (torch.rand(8, 4), torch.arange(8) % 2), "snip", batch=8)
    >>> kept = zc.select(table, "params < 18", top=1, by="params")
    >>> list(kept.frame.index), kept.dropped
    (['1'], {'2': 'params < 18 is false: params = 20', '0': 'rank 2 by params, of which the top 1 were kept'})
    """
    values = table.column(by)
    if top is not None and top < 1:
        raise InputError(f"top must be at least 1, but got {top}")
    if percentile is not None and not 0 <= percentile <= 100:
        raise InputError(f"percentile must lie between 0 and 100, but got {percentile}")
    ordered = values.sort_values(ascending=False, kind="stable")
    kept = list(ordered.index)
    dropped: dict[str, str] = {}
    for clause in clauses(where) if where else []:
        passes = truth(clause, table)
        dropped |= {
            name: f"{ast.unparse(clause)} is false: {seen(clause, table, name)}" for name in kept if not passes[name]
        }
        kept = [name for name in kept if passes[name]]
    if percentile is not None:
        limit = values.quantile(percentile / 100)
        dropped |= {
            n: f"{by} = {values[n]:.6g} is below percentile {percentile:g} ({limit:.6g})"
            for n in kept
            if not values[n] >= limit
        }
        kept = [name for name in kept if values[name] >= limit]
    if top is not None:
        for place, name in enumerate(kept[top:], start=top + 1):
            dropped[name] = f"rank {place} by {by}, of which the top {top} were kept"
        kept = kept[:top]
    return table.narrow(kept, dropped)


def clauses(where: str) -> list[ast.expr]:
    """The conditions that must all hold, each to be explained on its own."""
    try:
        tree = ast.parse(where.strip(), mode="eval").body
    except SyntaxError as error:
        raise InputError(f"cannot read the condition {where!r}: {error.msg}") from None
    return tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]


def truth(node: ast.expr, table: ScoreTable) -> pd.Series[bool]:
    """For each candidate whether a condition holds."""
    if isinstance(node, ast.BoolOp):
        parts = [truth(part, table) for part in node.values]
        joined = pd.concat(parts, axis=1)
        return joined.all(axis=1) if isinstance(node.op, ast.And) else joined.any(axis=1)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~truth(node.operand, table)
    if isinstance(node, ast.Compare) and all(type(op) in COMPARE for op in node.ops):
        sides = [number(side, table) for side in (node.left, *node.comparators)]
        pairs = zip(node.ops, sides, sides[1:], strict=False)
        held = [COMPARE[type(op)](left, right) for op, left, right in pairs]
        return pd.concat(held, axis=1).all(axis=1)
    raise InputError(
        f"cannot use {ast.unparse(node)!r} as a condition; write for example 'snip > 0.05 and params < 2e6'"
    )


def number(node: ast.expr, table: ScoreTable) -> pd.Series[float]:
    """For each candidate the value of one side of a comparison."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return pd.Series(float(node.value), index=table.frame.index)
    if isinstance(node, ast.Name):
        if node.id not in table.frame:
            raise unknown("column", node.id, table.frame.columns)
        return table.frame[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        return ARITHMETIC[type(node.op)](number(node.left, table), number(node.right, table))
    if isinstance(node, ast.UnaryOp) and type(node.op) in ARITHMETIC:
        return ARITHMETIC[type(node.op)](number(node.operand, table))
    raise InputError(f"cannot use {ast.unparse(node)!r} in a condition; columns, numbers and + - * / are understood")


def seen(clause: ast.expr, table: ScoreTable, name: str) -> str:
    """The values that a clause looked at, for one candidate."""
    columns = dict.fromkeys(node.id for node in ast.walk(clause) if isinstance(node, ast.Name))
    values = {column: table.frame.at[name, column] for column in columns}
    return ", ".join(f"{c} failed" if pd.isna(v) else f"{c} = {v:.6g}" for c, v in values.items())
