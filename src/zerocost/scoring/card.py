"""A score card: the scores of one network, and how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PassRecord:
    """One pass that ran: how often the network ran forward and backward in it, how long it took, and its settings where
    they are not the default."""

    name: str
    forwards: int
    backwards: int
    milliseconds: float
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreCard(Mapping[str, float]):
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
        if name in self.failures:
            raise KeyError(f"{name} failed: {self.failures[name]}")
        return self.scores[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def milliseconds(self) -> float:
        """Time spent in all passes."""
        return sum(p.milliseconds for p in self.passes)
