"""Score tables: what rank() returns and select() narrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from torch import nn

from zerocost.base.errors import InputError
from zerocost.combine import Combination
from zerocost.scoring.candidates import Builder
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.explanation import Explanation, explain_ranking


@dataclass(frozen=True)
class ScoreTable:
    """Many networks' scores, best first.

    Attributes:
        frame: one row a candidate (index: its name); a column for each score (NaN where it failed), among them
            `params`, and `rank_score`, the combination of the proxies' ranks; higher is better.
        combination: what `rank_score` is.
        cards: each candidate's `ScoreCard`, with its failures, passes and provenance.
        candidates: each candidate's builder, for training.
        dropped: candidates that `select` dropped, with the reason; empty for a table that `rank` returned.
        seconds: time the scoring took.
    """

    frame: pd.DataFrame
    combination: Combination
    cards: dict[str, ScoreCard]
    candidates: dict[str, Builder | nn.Module]
    dropped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def of(
        cls,
        cards: Mapping[str, ScoreCard],
        candidates: Mapping[str, Builder | nn.Module],
        combination: Combination,
        columns: Sequence[str],
        seconds: float,
    ) -> ScoreTable:
        """The table of the given cards with the scores named by `columns`, ranked by the combination."""
        frame = pd.DataFrame(
            [[card.scores.get(name, float("nan")) for name in columns] for card in cards.values()],
            index=pd.Index(list(cards), name="candidate"),
            columns=list(columns),
            dtype=float,
        )
        frame["rank_score"] = combination(frame)
        frame = frame.sort_values("rank_score", ascending=False, kind="stable")
        return cls(frame, combination, dict(cards), dict(candidates), {}, seconds)

    @property
    def proxies(self) -> list[str]:
        """The proxies that `rank_score` combines."""
        return self.combination.proxies

    @property
    def failures(self) -> pd.DataFrame:
        """Every failed score: candidate, proxy, reason."""
        rows = [(name, p, why) for name, card in self.cards.items() for p, why in card.failures.items()]
        return pd.DataFrame(rows, columns=["candidate", "proxy", "reason"])

    @property
    def spread(self) -> pd.DataFrame:
        """Standard deviation of each score over repeats, candidates by proxies; empty without repeats."""
        rows = {name: self.cards[name].spread for name in self.frame.index}
        return pd.DataFrame.from_dict(rows, orient="index").dropna(axis="columns", how="all")

    def explained(self, combination: Combination | None = None, *, top: int | None = None) -> Explanation:
        """Why the candidates are where they are: what each proxy adds, the order without it, the share of mere size.

        Args:
            combination: what to explain; what the table is ranked by if None.
            top: number of candidates that count as the top; a tenth of them if None.

        Raises:
            InputError: the table lacks a proxy of the combination, or `top` is below 1.
        """
        return explain_ranking(self.frame, combination or self.combination, top=top)

    @property
    def scored(self) -> list[str]:
        """The columns in which at least one candidate has a value."""
        return list(self.frame.columns[self.frame.notna().any()])

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        failed = len(self.failures["candidate"].unique())
        note = f"\n({failed} candidates with failed scores: see .failures)" if failed else ""
        return f"{self.frame.to_string(max_rows=20, float_format=lambda v: f'{v:.6g}')}{note}"

    def narrow(self, names: Sequence[str], dropped: dict[str, str]) -> ScoreTable:
        """The rows of the given names, in that order, with what was dropped."""
        return ScoreTable(
            self.frame.loc[list(names)],
            self.combination,
            {name: self.cards[name] for name in names},
            {name: self.candidates[name] for name in names},
            {**self.dropped, **dropped},
            self.seconds,
        )

    def column(self, name: str) -> Any:
        """One column of the frame; `InputError` naming the columns there are."""
        if name not in self.frame:
            raise InputError(f"the table has no column {name!r}; it has {', '.join(self.frame.columns)}")
        return self.frame[name]


class RankingInterrupted(KeyboardInterrupt):
    """Ctrl-C during a ranking; `table` holds what was scored until then."""

    def __init__(self, table: ScoreTable) -> None:
        super().__init__(f"interrupted; {len(table)} candidates were scored")
        self.table = table
