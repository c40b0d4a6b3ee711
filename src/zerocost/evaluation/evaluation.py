"""What `evaluate` returns: how well each score agrees with the trained truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd

from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import Fidelity
from zerocost.base.files import write_text
from zerocost.base.format import plural
from zerocost.base.result import Result, frame_from_dict, frame_to_dict
from zerocost.benchmarks.base import Query
from zerocost.benchmarks.direction import falls
from zerocost.evaluation import latex
from zerocost.evaluation.tables import BOUNDS, TOGETHER, scores_by_seed
from zerocost.scoring.notes import budget_note, fidelity_notes
from zerocost.statistics.bootstrap import LESS_IS_BETTER
from zerocost.statistics.ranking import regret_at

if TYPE_CHECKING:
    import plotly.graph_objects as go

_TABLES = ("scores", "table", "paired", "failures")


class _Difference(NamedTuple):
    """One score's statistic less another's, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Result):
    """How well each score agrees with the truth of a benchmark.

    The rows of `table` and the columns of `scores` are the proxies in the order given; their combination, where there
    are several, under the name "all together" (the log-rank sum unless another was given); and the baselines
    parameters, FLOPs and depth. A row is of plain values, more is better, whatever the proxy's weight in the
    combination: of a budget such as `peak_memory`, too, of which less is better all together; `notes` says so.

    Attributes:
        benchmark: the benchmark's name.
        query: what truth means: metric, dataset, epochs and seed of the trainings.
        proxies: the names of the proxies given.
        truth: the truth of each network that was drawn, by the text of its first architecture.
        scores: one row for each seed and architecture, one column for each score, NaN where it failed.
        table: one row for each score. Each statistic has four columns: its mean over seeds; `_low` and `_high`, its
            95 % interval over architectures and seeds; `_sd`, its standard deviation over seeds. `failed` counts the
            scores that failed.
        paired: one row for each statistic and pair of scores: the difference of the two means and its 95 % interval,
            from the same resamples for both.
        failures: architecture, seed, proxy and reason of each score that failed.
        settings: everything that the result depends on.
        seconds: the time that scoring took; scores from a cache take none.
        architectures: how many architectures were drawn, twins included; as many as networks where 0.
        higher_is_better: whether more of the truth is better.
    """

    benchmark: str
    query: Query
    proxies: list[str]
    truth: pd.Series[float]
    scores: pd.DataFrame
    table: pd.DataFrame
    paired: pd.DataFrame
    failures: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    architectures: int = 0
    higher_is_better: bool = True

    @property
    def statistics(self) -> list[str]:
        """The names of the statistics."""
        return [name for name in map(str, self.table) if f"{name}_low" in self.table]

    @property
    def telling(self) -> list[str]:
        """The statistics in which scores differ by at least a hundredth; tables show no others."""
        return [name for name in self.statistics if self.table[name].round(2).nunique(dropna=False) > 1]

    @property
    def direction(self) -> str:
        """What stands behind the name of the truth: nothing, unless less of it is better."""
        return "" if self.higher_is_better else ", less is better"

    @property
    def counts(self) -> str:
        """How many networks the statistics are over, of how many architectures, and with how many seeds."""
        networks = plural(len(self.truth), "architecture")
        if self.architectures > len(self.truth):
            networks = f"{len(self.truth):,} different networks of {self.architectures:,} architectures"
        return f"{networks}, {plural(len(self.seeds), 'seed')}"

    @property
    def notes(self) -> list[str]:
        """What the rows of budgets are, and what ranks at the fidelity, or which proxies lose their order there."""
        score, instead = self.settings["all together"], self.settings.get("in place of")
        fidelity, batch = Fidelity.parse(str(self.settings.get("fidelity", "full"))), self.settings.get("batch", 64)
        notes = fidelity_notes(self.proxies, fidelity, batch, score, instead)
        return [*filter(None, [self.budget_note]), *notes]

    @property
    def budget_note(self) -> str:
        """What the rows of budgets are; empty without any."""
        return budget_note(self.proxies, self.settings["all together"] if TOGETHER in self.table.index else None)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the scores."""
        return list(self.scores.index.unique("seed"))

    def compare(self, first: str, second: str, statistic: str = "kendall") -> _Difference:
        """The first score's statistic less the second's, from `paired`.

        Raises:
            InputError: a score or statistic is not in the table, or both scores are the same.
        """
        for name, known in ((first, self.table.index), (second, self.table.index), (statistic, self.statistics)):
            if name not in known:
                raise InputError(f"{name!r} is not in the table, which has {', '.join(known)}")
        rows = self.paired[self.paired["statistic"] == statistic].set_index(["first", "second"])[BOUNDS]
        for sign, pair in ((1, (first, second)), (-1, (second, first))):
            if pair in rows.index:
                difference, *bounds = (sign * rows.loc[[pair]].to_numpy()[0]).tolist()
                return _Difference(difference, *sorted(bounds))
        raise InputError(f"{first!r} is compared with itself; give two scores")

    @property
    def agreement(self) -> pd.DataFrame:
        """Spearman correlation of each pair of scores, mean over seeds; a failed score ranks last."""
        each = self.scores.fillna(-np.inf).groupby(level="seed").corr(method="spearman")
        return each.groupby(level=1, sort=False).mean()

    def regrets(self, ks: Iterable[int]) -> pd.DataFrame:
        """Regret of training the k highest scores, mean over seeds: one row for each k, one column for each score.

        Regret is how far the best of them stays behind the best of all. Column "random" is that of k random ones.
        """
        truth, rows = np.asarray(self.truth if self.higher_is_better else -self.truth, np.float64), {}
        columns = {name: scores_by_seed(self.scores[name], len(truth)) for name in self.scores}
        columns["random"] = np.zeros((1, len(truth)))
        for k in ks:
            rows[k] = {name: float(regret_at(each, truth, k).mean()) for name, each in columns.items()}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("k")

    def to_csv(self, path: str | Path) -> None:
        """Write `table` as comma-separated values."""
        write_text(path, self.table.to_csv())

    def to_latex(self, path: str | Path, statistics: Iterable[str] = latex.SHOWN) -> None:
        """Write a LaTeX table of the given statistics with their intervals; it needs the package booktabs."""
        write_text(path, latex.tabular(self.table, list(statistics)))

    def to_frame(self) -> pd.DataFrame:
        """A copy of `table`."""
        return self.table.copy()

    def plot(self, statistic: str = "kendall") -> go.Figure:
        """One statistic of all scores as bars with their intervals, the best on top.

        Raises:
            InputError: a statistic that is not in the table.
        """
        from zerocost.evaluation.figures import statistic_bars

        if statistic not in self.statistics:
            raise unknown("statistic", statistic, self.statistics)
        up = statistic.startswith(LESS_IS_BETTER)
        return statistic_bars(self.table.sort_values(statistic, ascending=up, kind="stable"), statistic)

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as plain values."""
        tables = {name: frame_to_dict(getattr(self, name)) for name in _TABLES}
        truth = frame_to_dict(self.truth.to_frame("truth"))
        return vars(self) | tables | {"query": self.query._asdict(), "truth": truth}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The evaluation that `to_dict` described."""
        tables = {name: frame_from_dict(values[name]) for name in _TABLES}
        truth = frame_from_dict(values["truth"])["truth"]
        query = Query(**values["query"])
        direction = {"higher_is_better": not falls(query.metric)}  # files of before it was written
        return cls(**direction | values | tables | {"query": query, "truth": truth})

    def _headline(self) -> str:
        note = f"; {self.budget_note}" if self.budget_note else ""
        return f"Evaluation: {self.benchmark}, {self.query}{self.direction}; {self.counts}{note}"

    def _shown(self) -> pd.DataFrame:
        """The statistics that tell scores apart, without their intervals."""
        return self.table[[*self.telling, *([] if self.failures.empty else ["failed"])]]
