"""Short names for the candidates of a page, so that a table or a plot can name them in a few letters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zerocost.scoring.table import ScoreTable
    from zerocost.search.pipeline import SearchResult
    from zerocost.train.run import Run

_LONGEST = 20
"""Letters of a name that needs no shorter one."""
_CALL, _COMMAS = re.compile(r"^\w+\((.*)\)$"), re.compile(r", *(?=\w+=)")


@dataclass(frozen=True)
class Names:
    """The full name of each candidate, by its name on the page.

    Attributes:
        full: full names by short ones; equal where every full name is short.
        note: what the short names are; empty where they are the full ones.
    """

    full: Mapping[str, str]
    note: str

    def title(self, name: str) -> str:
        """The full name, where it is another."""
        full = self.full.get(name, name)
        return "" if full == name else full


def with_short_names(result: SearchResult) -> tuple[SearchResult, Names]:
    """The result with short names, and the full ones: `#12` for the twelfth of the ranking, `R1`, … for those outside.

    Names stay as they are where none has more than 20 letters.
    """
    ranked = [str(name) for name in result.table.frame.index]
    behind = [str(name) for table in reversed(result.earlier) for name in table.frame.index]
    trained = [run.name for run in (*result.survivors, *result.random)]
    known = list(dict.fromkeys([*ranked, *behind, *result.order]))
    outside = [name for name in dict.fromkeys(trained) if name not in set(known)]
    if max(map(len, (*known, *outside)), default=0) <= _LONGEST:
        return result, Names({name: name for name in (*known, *outside)}, "")
    short = {name: f"#{place}" for place, name in enumerate(known, start=1)}
    short |= {name: f"R{place}" for place, name in enumerate(outside, start=1)}
    note = "#1 is the first of the ranking, #2 the second" + "; R1, R2, … are random picks from outside" * bool(outside)
    return _renamed(result, short), Names({name: full for full, name in short.items()}, note)


def choices(names: Iterable[str]) -> dict[str, str]:
    """What tells architectures from each other: of `depth=2,width=8,…` or `Cell(a=[…], b=[…])` the choices that differ.

    A name of another form is kept whole.

    >>> choices(["depth=2,width=8,norm=batch", "depth=2,width=16,norm=batch"])
    {'depth=2,width=8,norm=batch': 'width=8', 'depth=2,width=16,norm=batch': 'width=16'}
    >>> choices(["resnet18", "depth=2,width=8"])["resnet18"]
    'resnet18'
    """
    parts = {name: _parts(name) for name in names}
    known = [set(made) for made in parts.values() if made]
    common = set.intersection(*known) if len(known) > 1 else set()
    return {name: ", ".join(p for p in made if p not in common) if made else name for name, made in parts.items()}


def _parts(name: str) -> list[str]:
    """The choices of an architecture that is written as `name=value,…`, or a call with these; none of another."""
    parts = _COMMAS.split(_CALL.sub(r"\1", name))
    return parts if all(part.count("=") == 1 for part in parts) else []


def _renamed(result: SearchResult, short: Mapping[str, str]) -> SearchResult:
    """The result with other names for its candidates."""

    def keys(values: Mapping[str, Any]) -> dict[str, Any]:
        return {short.get(name, name): value for name, value in values.items()}

    def table(old: ScoreTable) -> ScoreTable:
        frame = old.frame.set_axis([short.get(str(name), str(name)) for name in old.frame.index])
        return replace(
            old, frame=frame, cards=keys(old.cards), candidates=keys(old.candidates), dropped=keys(old.dropped)
        )

    def runs(old: Iterable[Run]) -> list[Run]:
        return [replace(run, name=short[run.name]) for run in old]

    return replace(
        result,
        table=table(result.table),
        kept=table(result.kept),
        earlier=[table(one) for one in result.earlier],
        survivors=runs(result.survivors),
        random=runs(result.random),
        front=[short[name] for name in result.front],
        order=[short[name] for name in result.order],
        rejected=keys(result.rejected),
        expected=[one._replace(name=short[one.name]) for one in result.expected],
    )
