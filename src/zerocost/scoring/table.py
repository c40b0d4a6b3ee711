"""Score tables: what rank() returns and select() narrows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from torch import nn

from zerocost.base.errors import InputError
from zerocost.base.format import plural
from zerocost.base.result import Result, frame_from_dict, frame_to_dict
from zerocost.combine import Combination
from zerocost.engine.options import as_spelled
from zerocost.scoring.candidates import Builder
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.explanation import Explanation, explain_ranking

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, eq=False, repr=False)
class ScoreTable(Result):
    """Many networks' scores, best first.

    Attributes:
        frame: one row a candidate (index: its name); a column for each score (NaN where it failed), among them
            `params`, and `rank_score`, by which they are ranked; higher is better.
        combination: what the score is; in a ranking, what `rank_score` is.
        cards: each candidate's `ScoreCard`, with its failures, passes and provenance.
        candidates: each candidate's builder, for training; none in a table that was loaded from a file.
        dropped: candidates that `select` dropped, with the reason; empty for a table that `rank` returned.
        seconds: time the scoring took.
        ranked_by: what `rank_score` is, in words: the combination, unless a search ranked by other objectives.
        proxies: the columns that `rank_score` is made of.
        notes: what to know of the ranking, such as targets that do not fit the networks where no proxy uses them.
    """

    frame: pd.DataFrame
    combination: Combination
    cards: dict[str, ScoreCard]
    candidates: dict[str, Builder | nn.Module]
    dropped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    ranked_by: str = ""
    proxies: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranked_by", self.ranked_by or str(self.combination))
        object.__setattr__(self, "proxies", self.proxies or self.combination.proxies)

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
        frame = score_frame(cards, columns)
        frame = frame.loc[combination.order_of_equals(frame)]
        frame["rank_score"] = combination(frame)
        frame = frame.sort_values("rank_score", ascending=False, kind="stable")
        return cls(frame, combination, dict(cards), dict(candidates), seconds=seconds)

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
            combination: what to explain; the table's own if None.
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

    def to_frame(self) -> pd.DataFrame:
        """A copy of `frame`."""
        return self.frame.copy()

    def plot(self) -> go.Figure:
        """The places of the best candidates by each score, as a heat map: where proxies agree, a row has one colour."""
        from zerocost.scoring.figures import table_figure

        return table_figure(self.frame)

    def to_dict(self) -> dict[str, Any]:
        """All but the builders, as plain values."""
        known = {
            "frame": frame_to_dict(self.frame),
            "combination": self.combination.as_dict(),
            "cards": {name: card.to_dict() for name, card in self.cards.items()},
        }
        return {name: value for name, value in (vars(self) | known).items() if name != "candidates"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The table that `to_dict` described, without builders."""
        made = {
            "frame": frame_from_dict(values["frame"]),
            "combination": Combination.from_dict(values["combination"]),
            "cards": {name: ScoreCard.from_dict(card) for name, card in values["cards"].items()},
        }
        return cls(**values | made, candidates={})

    def _headline(self) -> str:
        failed = len(self.failures["candidate"].unique())
        note = f"; scores failed for {plural(failed, 'candidate')}, see .failures" if failed else ""
        note += "".join(f"; {one}" for one in self.notes)
        return f"ScoreTable: {plural(len(self), 'candidate')}, best first by {self.ranked_by}{note}"

    def narrow(self, names: Sequence[str], dropped: dict[str, str]) -> ScoreTable:
        """The rows of the given names, in that order, with what was dropped."""
        return replace(
            self,
            frame=self.frame.loc[list(names)],
            cards={name: self.cards[name] for name in names},
            candidates={name: self.candidates[name] for name in names if name in self.candidates},
            dropped={**self.dropped, **dropped},
        )

    def column(self, name: str) -> Any:
        """One column of the frame; `InputError` naming the columns there are."""
        found = name if name in self.frame else as_spelled(name)
        if found not in self.frame:
            raise InputError(f"the table has no column {name!r}; it has {', '.join(self.frame.columns)}")
        return self.frame[found]


def score_frame(cards: Mapping[str, ScoreCard], columns: Iterable[str]) -> pd.DataFrame:
    """One row a card, one column a score; NaN where it is missing."""
    names = list(columns)
    return pd.DataFrame(
        [[card.scores.get(name, float("nan")) for name in names] for card in cards.values()],
        index=pd.Index(list(cards), name="candidate"),
        columns=names,
        dtype=float,
    )


class RankingInterrupted(KeyboardInterrupt):
    """Ctrl-C during a ranking; `table` holds what was scored until then."""

    def __init__(self, table: ScoreTable) -> None:
        super().__init__(f"interrupted; {plural(len(table), 'candidate')} scored")
        self.table = table
