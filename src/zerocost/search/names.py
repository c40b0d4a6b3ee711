"""The names that objectives and conditions may use."""

from __future__ import annotations

import math
from collections.abc import Iterable

from zerocost.base.conditions import parse_clauses
from zerocost.base.errors import InputError, unknown
from zerocost.benchmarks.base import Benchmark
from zerocost.engine.proxy import names as proxy_names
from zerocost.proxies.aggregates import AGGREGATES
from zerocost.proxies.registry import resolve
from zerocost.search.costs import table_costs
from zerocost.search.objectives import ACCURACY, SCORE, is_metric
from zerocost.search.sizes import SIZE_PROXIES


def check_names(
    objectives: Iterable[str],
    where: str | None,
    proxies: Iterable[str],
    hardware: Benchmark | None,
    own_costs: Iterable[str] = (),
) -> None:
    """See that objectives and conditions name quantities that a search can have.

    Args:
        objectives: their names; one with options or of a file is read as a proxy.
        where: conditions.
        proxies: what "score" combines.
        hardware: a benchmark whose untrained numbers are quantities too.
        own_costs: the names of the user's own costs.

    Raises:
        InputError: a name that is neither a proxy nor a cost, or a text that is no condition.
    """
    wanted = list(objectives)
    costs = {*SIZE_PROXIES, "latency", *own_costs, *(table_costs(hardware) if hardware else ())}
    known = {SCORE, *costs, *proxy_names(), *proxies, *filter(is_metric, wanted)}
    clauses = parse_clauses(where) if where else []
    for clause in clauses:
        clause.holds(dict.fromkeys(clause.names, math.nan))
    for name in (*wanted, *(name for clause in clauses for name in clause.names if name != "rank_score")):
        if name in known:
            continue
        if name.partition("(")[0] in AGGREGATES:
            raise InputError(
                f"{name} is several proxies, so it has no value of its own here; choose proxies={name!r}, and name "
                "score, which combines them"
            )
        if not name.isidentifier():
            resolve(name)
            continue
        hint = "" if hardware else ". Latencies and energies of other devices need hardware, a table"
        if is_metric(name):
            raise InputError(
                f"{name} is known of trained networks alone, and conditions are checked before; name it in objectives"
            )
        listed = unknown("quantity", name, {ACCURACY, *known}, "`zerocost proxies`")
        raise InputError(f"{listed}{hint}")
