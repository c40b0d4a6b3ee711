"""What can be said of the worth of scores without any trained network."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from zerocost.base.fidelity import FULL, Fidelity
from zerocost.base.format import join_words
from zerocost.combine import Combination, agreement
from zerocost.engine.proxy import REGISTRY, Proxy

_LEAST_CANDIDATES = 10
_ONLY_SIZE = 0.95
"""Spearman's correlation with the number of parameters from which on an order is said to be that of size."""
_DISAGREEMENT = 0.4
"""Mean agreement below which parts are said to disagree; docs/measured/default.md has the spaces where it was so."""


def pool_notes(frame: pd.DataFrame, combination: Combination) -> list[str]:
    """A line where the score of a pool is little but size, and one where its parts disagree; none for few candidates.

    Args:
        frame: scores by candidate, with "rank_score" and "params".
        combination: what "rank_score" is.

    >>> frame = pd.DataFrame({"params": range(12), "snip": range(12), "rank_score": range(12)}, dtype=float)
    >>> pool_notes(frame, Combination({"snip": 1.0}))
    ['the order is nearly that of size: Spearman 1.00 with params']
    """
    if len(frame) < _LEAST_CANDIDATES:
        return []
    notes = []
    parts = [name for name in combination.proxies if frame[name].notna().any()]
    if parts != ["params"] and "params" in frame:
        size = frame["rank_score"].replace(-np.inf, np.nan).corr(frame["params"], method="spearman")
        if size >= _ONLY_SIZE:
            notes.append(f"the order is nearly that of size: Spearman {size:.2f} with params")
    if len(parts) > 2:
        mean = float(np.mean(list(agreement(frame[parts], combination.weights).values())))
        if mean < _DISAGREEMENT:
            notes.append(
                f"the {len(parts)} proxies hardly agree (mean agreement {mean:.2f} of 1), so trust their order little; "
                "train a few and learn from them: zerocost search --trainings 20"
            )
    return notes


def fidelity_notes(
    names: Iterable[str], fidelity: Fidelity, batch: int, score: str = "", in_place_of: str | None = None
) -> list[str]:
    """What is said of a ranking at a fidelity: what was measured to rank there, or who loses the order of full size.

    Args:
        names: the proxies; see `shrinks_badly` of `zerocost.engine.proxy.Proxy`.
        fidelity: the fidelity.
        batch: of a fidelity that names none.
        score: what ranks, in words.
        in_place_of: what the score stands for at a measured fidelity, in words, if it does.

    >>> fidelity_notes(["jacob_cov", "az_trainability", "naswot"], Fidelity(depth=0.2), 32)
    ['at depth=0.2 jacob_cov and az_trainability lose the order that they have at full size']
    >>> fidelity_notes(["naswot"], Fidelity(depth=0.2), 32, "naswot", "the consensus of naswot, snip")
    ['as was measured at this fidelity, naswot ranks in place of the consensus of naswot, snip']
    """
    if in_place_of:
        return [f"as was measured at this fidelity, {score} ranks in place of {in_place_of}"]
    names, notes = list(names), []
    for kind in ("width", "depth", "resolution", "batch"):
        size = getattr(fidelity, kind) or (batch if kind == "batch" else None)
        losing = [name for name in names if size is not None and size <= (_least(name, kind) or 0)]
        if losing:
            lose = "lose the order that they have" if len(losing) > 1 else "loses the order that it has"
            notes.append(f"at {kind}={size} {join_words(losing)} {lose} at full size")
    return notes


def budget_note(names: Iterable[str], together: str | None) -> str:
    """What the rows of budgets in an evaluation are, besides what all proxies are combined by; empty without any.

    >>> budget_note(["snip", "flash"], None)
    'the row of flash is of its plain values, more is better as for params; rank puts the least first'
    """
    budgets = [name for name in names if (known := _known_proxy(name)) is not None and known.is_budget]
    if not budgets:
        return ""
    rows = "the row of {} is of its plain values" if len(budgets) == 1 else "the rows of {} are of their plain values"
    ranked = f"all together is {together}" if together else "rank puts the least first"
    return f"{rows.format(join_words(budgets))}, more is better as for params; {ranked}"


def _known_proxy(name: str) -> Proxy | None:
    return REGISTRY.get(name.partition("(")[0].rpartition(":")[2])


def _least(name: str, kind: str) -> float | None:
    """The size from which down a proxy loses its order; None where none is known."""
    known = _known_proxy(name)
    limit: float | None = None if known is None else getattr(known.shrinks_badly, kind)
    return None if limit == getattr(FULL, kind) else limit
