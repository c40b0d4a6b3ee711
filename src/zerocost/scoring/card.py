"""A score card: the scores of one network, and how they were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from zerocost.base.format import join_words, plural, seconds
from zerocost.base.result import Result
from zerocost.engine.options import as_spelled

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from zerocost.engine.proxy import Proxy


@dataclass(frozen=True)
class PassRecord:
    """One pass that ran: how often the network ran forward and backward in it, how long it took, and its settings where
    they are not the default."""

    name: str
    forwards: int
    backwards: int
    milliseconds: float
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class ScoreCard(Result, Mapping[str, float]):
    """The scores of one network: a mapping from proxy name to value, higher is better.

    A proxy that could not be computed is not among the keys but in `failures`, with its reason; asking for it raises
    a `KeyError` that gives the reason.

    Attributes:
        scores: proxy name to value.
        failures: proxy name to the reason why it has no value.
        passes: the passes that ran to their end.
        provenance: how the scores were made: versions, seed, batch, loss, settings of each proxy, dtype, device, the
            names of parameters that are "frozen" (`requires_grad` is false) and "unused" (no pass read them; None where
            no pass ran).
        spread: standard deviation over the repeats of each proxy that was measured more than once.
    """

    scores: dict[str, float]
    failures: dict[str, str]
    passes: tuple[PassRecord, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        found = name if name in self.scores else as_spelled(str(name))
        if found in self.failures:
            raise KeyError(f"{name} failed: {self.failures[found]}")
        return self.scores[found]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def milliseconds(self) -> float:
        """Time spent in all passes."""
        return sum(p.milliseconds for p in self.passes)

    @property
    def unused_note(self) -> str:
        """Which parameters no pass read, in words; empty where all were read, or none ran."""
        unused = self.provenance.get("unused") or []
        rest = [plural(len(unused) - 3, "other")] if len(unused) > 3 else []
        return f"no pass read {join_words([*unused[:3], *rest])}" if unused else ""

    def to_frame(self) -> pd.DataFrame:
        """One row a proxy: its score, its spread over repeats, and why it failed; NaN where there is none."""
        names = [*self.scores, *self.failures]
        columns = {"score": self.scores, "spread": self.spread}
        numbers = {title: [column.get(name, float("nan")) for name in names] for title, column in columns.items()}
        reasons = [self.failures.get(name, "") for name in names]
        return pd.DataFrame(numbers | {"failure": reasons}, index=pd.Index(names, name="proxy"))

    def plot(self) -> go.Figure:
        """The scores as bars on a logarithmic axis; orange: below 0."""
        from zerocost.scoring.figures import card_figure

        return card_figure(self.scores)

    def to_dict(self) -> dict[str, Any]:
        """All scores, failures and passes, and the provenance, as plain values."""
        return {**vars(self), "passes": [asdict(one) for one in self.passes]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The card that `to_dict` described."""
        return cls(**values | {"passes": tuple(PassRecord(**one) for one in values["passes"])})

    def _headline(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        ran = f"; {plural(len(self.passes), 'pass', 'passes')} in {seconds(self.milliseconds / 1000)}"
        unused = f"; {self.unused_note}" if self.unused_note else ""
        return f"ScoreCard: {plural(len(self.scores), 'score')}{failed}{ran if self.passes else ''}{unused}"

    def _shown(self) -> pd.DataFrame:
        """The table without the columns that are empty."""
        frame = self.to_frame()
        return frame[["score", *(["spread"] if self.spread else []), *(["failure"] if self.failures else [])]]


def failed_card(proxies: Iterable[Proxy], reason: Exception) -> ScoreCard:
    """The card of a network on which every proxy fails for the same reason."""
    return ScoreCard({}, {p.name: str(reason) for p in proxies})
