"""select(): keep the candidates worth training, with the reason why each other one was dropped."""

from __future__ import annotations

import math

import numpy as np

from zerocost.base.conditions import Clause, parse_clauses
from zerocost.base.errors import InputError
from zerocost.base.whole import check_whole
from zerocost.engine.proxy import REGISTRY, names
from zerocost.scoring.table import ScoreTable
from zerocost.tasks.metrics import minimised


def select(
    table: ScoreTable,
    where: str | None = None,
    *,
    percentile: float | None = None,
    top: int | None = None,
    by: str = "rank_score",
) -> ScoreTable:
    """Keep the candidates that have a score and pass every filter: `where`, then `percentile`, then `top`.

    Args:
        table: what `rank` returned.
        where: conditions on the table's columns, such as ``"snip > 0.05 and params < 2e6"``: comparisons of columns,
            numbers and + - * / of them, joined by ``and``, ``or``, ``not``. A candidate whose score failed does not
            pass a condition on it.
        percentile: keep those at this percentile (0 to 100) of `by`, or better, among all that have it, 100 being the
            best.
        top: keep at most this many, best first by `by`.
        by: the column that `percentile` and `top` use. Less of a budget, a latency, an energy or an error is better,
            more of all else, `params` and `flops` among it.

    Returns:
        The survivors, best first; its `dropped` gives for each other candidate the filter that dropped it and why.

    Raises:
        InputError: a condition that cannot be read or names no column, or a setting out of range.

    >>> import torch, zerocost as zc
    >>> nets = [torch.nn.Linear(4, w) for w in (2, 3, 4)]
    >>> table = zc.rank(nets, (torch.rand(8, 4), torch.arange(8) % 2), "snip", batch=8)
    >>> kept = zc.select(table, "params < 18", top=1, by="params")
    >>> list(kept.frame.index), kept.dropped["Linear-1"]
    (['Linear-2'], 'rank 2 by params, of which the best was kept')
    """
    values = table.column(by)
    if top is not None:
        check_whole("top", top)
    if percentile is not None and not (isinstance(percentile, int | float | np.number) and 0 <= percentile <= 100):
        raise InputError(f"percentile must be a number between 0 and 100, but got {percentile!r}")
    sign = -1 if _less_is_better(by) else 1
    ordered = (sign * values).sort_values(ascending=False, kind="stable")
    scored = ordered > -math.inf
    kept = list(ordered[scored].index)
    dropped = {name: f"it has no {by}: {_first_failure(table, name)}" for name in ordered[~scored].index}
    columns = {str(name): values.to_numpy() for name, values in table.frame.items()}
    for clause in parse_clauses(where) if where else []:
        holds = np.broadcast_to(clause.holds(columns), len(table))
        passes = dict(zip(table.frame.index, holds, strict=True))
        dropped |= {
            name: f"{clause.text} is false: {_clause_values(clause, table, name)}" for name in kept if not passes[name]
        }
        kept = [name for name in kept if passes[name]]
    if percentile is not None:
        limit = ordered[scored].quantile(percentile / 100)
        dropped |= {
            n: f"{by} = {values[n]:.6g} is worse than percentile {percentile:g} ({sign * limit:.6g})"
            for n in kept
            if not ordered[n] >= limit
        }
        kept = [name for name in kept if ordered[name] >= limit]
    if top is not None:
        for place, name in enumerate(kept[top:], start=top + 1):
            dropped[name] = f"rank {place} by {by}, of which the {'best was' if top == 1 else f'top {top} were'} kept"
        kept = kept[:top]
    return table.narrow(kept, dropped)


def proxies_in(where: str | None) -> list[str]:
    """The proxies in a condition, in order; `InputError` if it cannot be read or has an unknown name.

    >>> proxies_in("snip > 0.05 and params < 2e6 and rank_score > -1")
    ['snip', 'params']
    """
    parts = parse_clauses(where) if where else []
    every = dict.fromkeys([*names(), "rank_score"], math.nan)
    for part in parts:
        part.holds(every)
    return [name for name in dict.fromkeys(n for part in parts for n in part.names) if name != "rank_score"]


def _less_is_better(by: str) -> bool:
    """Whether less of a column is better: of budgets, and of costs and errors that are no proxies."""
    proxy = REGISTRY.get(by.partition("(")[0])
    return minimised(by) if proxy is None else proxy.is_budget


def _clause_values(clause: Clause, table: ScoreTable, name: str) -> str:
    """The values of one candidate that a condition depends on, as text."""
    values = {column: float(table.frame[column][name]) for column in clause.names}
    return ", ".join(f"{c} failed" if math.isnan(v) else f"{c} = {v:.6g}" for c, v in values.items())


def _first_failure(table: ScoreTable, name: str) -> str:
    """The reason of a candidate's first failed score."""
    return next(iter(table.cards[name].failures.values()), "it was not scored")
