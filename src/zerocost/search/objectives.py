"""What a search wants: one number for each objective, of all that was measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from zerocost.base.errors import InputError
from zerocost.base.user_code import FileFunction
from zerocost.combine import Combination
from zerocost.engine.proxy import REGISTRY
from zerocost.proxies.registry import as_items, resolve
from zerocost.search.own_costs import OwnCost, cost_name
from zerocost.statistics.pareto import crowded_fitness, fronts
from zerocost.tasks.metrics import METRICS, minimised

SCORE = "score"
ACCURACY = "accuracy"


def is_metric(name: str) -> bool:
    """Whether a name is that of what trained networks are judged by.

    >>> is_metric("accuracy"), is_metric("mean_absolute_error"), is_metric("snip")
    (True, True, False)
    """
    return name in METRICS


@dataclass(frozen=True)
class Objectives:
    """The objectives of a search: "score", "accuracy", a proxy or a cost. Less of a cost is better, more of the others.

    "score" is what the combination makes of all that was measured, so without a reference it changes as more is.

    >>> wanted = Objectives(("score", "params"), Combination({"snip": 1}))
    >>> measured = pd.DataFrame({"snip": [1.0, 2.0, 3.0], "params": [10.0, 30.0, 20.0]}, index=["a", "b", "c"])
    >>> wanted.directions, wanted.front(measured)
    (['maximize', 'minimize'], ['a', 'c'])
    """

    names: tuple[str, ...]
    combination: Combination | None = None

    @property
    def proxies(self) -> tuple[str, ...]:
        """The proxies that "score" combines."""
        return tuple(self.combination.proxies) if self.combination else ()

    @property
    def directions(self) -> list[Literal["minimize", "maximize"]]:
        """Optuna's names for the direction of each objective."""
        return ["minimize" if minimised(name) else "maximize" for name in self.names]

    @property
    def columns(self) -> list[str]:
        """What the objectives are made of."""
        parts = [self.proxies if name == SCORE else (name,) for name in self.names]
        return list(dict.fromkeys(column for part in parts for column in part))

    @property
    def ranking(self) -> str:
        """What architectures are ranked by, in words.

        >>> Objectives(("snip", "params")).ranking, Objectives(("params",)).ranking
        ('fronts of snip, params', 'params, less is better')
        """
        if len(self.names) > 1:
            return f"fronts of {', '.join(self.names)}"
        [name] = self.names
        if name == SCORE and self.combination:
            return str(self.combination)
        return f"{name}, {'less' if minimised(name) else 'more'} is better"

    def values(self, measured: pd.DataFrame) -> pd.DataFrame:
        """One column an objective, as it is; NaN where there is none."""
        columns = {name: measured.get(name, np.nan) for name in self.names}
        if SCORE in self.names and self.combination:
            scores = measured.reindex(columns=list(self.proxies))
            columns[SCORE] = self.combination(scores).replace(-np.inf, np.nan)
        return pd.DataFrame(columns, index=measured.index, dtype=float)

    def fitness(self, measured: pd.DataFrame) -> pd.Series[float]:
        """How good each is: the objective, or of several the place in the order of the fronts; higher is better.

        NaN for one that lacks an objective.
        """
        values = self.more_is_better(measured).to_numpy()
        found = values[:, 0] if len(self.names) == 1 else crowded_fitness(values)
        return pd.Series(np.where(np.isfinite(values).all(axis=1), found, np.nan), index=measured.index)

    def front(self, measured: pd.DataFrame) -> list[str]:
        """Those that no other is better than, the best alone where there is one objective, in the order measured."""
        values = self.more_is_better(measured).to_numpy()
        known = np.isfinite(values).all(axis=1)
        if not known.any():
            return []
        return [str(name) for name in measured.index[(fronts(values) == 0) & known]]

    def more_is_better(self, measured: pd.DataFrame) -> pd.DataFrame:
        """`values`, negated where less is better."""
        return self.values(measured) * [-1.0 if minimised(name) else 1.0 for name in self.names]


def read_objectives(objectives: Iterable[str | OwnCost] | OwnCost | str) -> dict[str, str | OwnCost]:
    """Objectives by name, out of a sequence or a comma-separated text; functions that are no proxies are costs.

    >>> list(read_objectives("score, zico(parts = 4)"))
    ['score', 'zico(parts=4)']
    >>> def joules(arch): ...
    >>> list(read_objectives(["score", joules]))
    ['score', 'joules_cost']
    """
    if isinstance(objectives, str):
        objectives = as_items(objectives)
    found: dict[str, str | OwnCost] = {}
    for one in objectives if isinstance(objectives, Iterable) and not callable(objectives) else [objectives]:
        if not isinstance(one, str) and not callable(one):
            raise InputError(f"objectives are names and functions of an architecture, but got {one!r:.60}")
        text = one.strip() if isinstance(one, str) else _proxy_name(one) or ""
        function = _function_in(text) if isinstance(one, str) else None if text else one
        name = cost_name(function) if function else _name_in(text)
        found |= {name: function or name} if name else {}
    return found


def _name_in(text: str) -> str:
    """The name of the proxy that a text with options or a file stands for; any other text as it is."""
    found = resolve([text]) if "(" in text or ".py:" in text else []
    return found[0].name if len(found) == 1 else text


def _function_in(text: str) -> OwnCost | None:
    """The function that FILE.py:NAME names; None for a proxy and for any other text."""
    if ".py:" not in text or "(" in text:
        return None
    function = FileFunction(text)
    return None if _proxy_name(function.function) else function


def _proxy_name(function: object) -> str | None:
    """The name of the proxy that a function is the formula of; None for any other."""
    return next((proxy.name for proxy in REGISTRY.values() if proxy.formula is function), None)
