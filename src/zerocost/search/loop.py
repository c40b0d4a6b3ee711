"""Spends a budget of trainings: the first by score, the next by what those trained so far have taught."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, variance
from typing import NamedTuple

import numpy as np
import pandas as pd

from zerocost.predict import Belief, Features, learn, next_for_front
from zerocost.scoring.table import ScoreTable
from zerocost.search.follow import Follower
from zerocost.search.objectives import SCORE
from zerocost.search.plan import SearchPlan
from zerocost.search.result import Expected, SearchResult
from zerocost.search.stages import first_round
from zerocost.statistics.pareto import fronts
from zerocost.tasks.text import metric_text
from zerocost.train.run import Run

_PARTS = ("proxies", "encoding", "counts")


class _Outcome(NamedTuple):
    """What training a candidate gave: the mean over its seeds, more is better, and the variance over them."""

    value: float
    variance: float
    seeds: int


def train_by_learning(
    plan: SearchPlan, result: SearchResult, train: Callable[[list[str]], Sequence[Run]], follower: Follower | None
) -> None:
    """Train candidates in rounds until the budget is spent; the result keeps what was trained.

    Before each round, all that passed the filter have an expected metric, which starts from their score and follows
    what was trained (`zerocost.predict.learn`). The most promising ones are trained next; with several objectives,
    those that promise the most hypervolume, with the metric in the place of the score. Training depends on nothing but
    candidate, seed and data, so after a break the same call comes to the same choices.

    Args:
        plan: what the search does.
        result: what it has found; its `kept` are the candidates.
        train: trains candidates by name, and returns their runs.
        follower: adds candidates between rounds, in equal parts; None adds none.
    """
    loop = _Loop(plan, result)
    try:
        while loop.left > 0:
            if loop.outcomes and follower is not None:
                loop.follow(follower)
            chosen = loop.choose()
            if not chosen:
                break
            loop.learn(chosen, train(chosen))
    finally:
        loop.conclude()


@dataclass
class _Loop:
    """What was trained so far, and what is expected of the others."""

    plan: SearchPlan
    result: SearchResult
    outcomes: dict[str, _Outcome] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.budget = self.plan.pipeline.trainings or self.plan.pipeline.candidates
        self.sign = 1 if self.plan.split.task.higher_is_better else -1
        self.pool: ScoreTable | None = None

    @property
    def left(self) -> int:
        """How many more trainings the budget pays for; those before a break have cost their time, too."""
        known, limit = len(self.outcomes), self.plan.pipeline.training_seconds
        left = self.budget - known
        if limit is None or not self.seconds:
            return left
        return min(left, math.ceil((limit - self.seconds) / self.seconds * known))

    @property
    def is_informed(self) -> bool:
        """Whether two trainings have ended well, and differently: before that, only an order is expected."""
        return len({one.value for one in self.outcomes.values() if np.isfinite(one.value)}) > 1

    @property
    def belief(self) -> Belief:
        """What is expected of all that passes the filter."""
        if self.pool is not self.result.kept:
            pool = self.result.kept
            self.features = Features(self.plan.space, _PARTS).fit_transform(pool.frame[_scores(pool)])
            self.score, self.others = self._objectives(pool)
            self.pool = pool  # last, as Ctrl-C may come before
        values = {name: one.value for name, one in self.outcomes.items()}
        return learn(self.features, self.score, values, _noise(self.outcomes.values()))

    def _objectives(self, pool: ScoreTable) -> tuple[pd.Series[float], pd.DataFrame]:
        """The score of all that passes the filter, and the other objectives, more is better."""
        objectives = self.plan.objectives
        if len(objectives.names) == 1:
            return pool.frame["rank_score"], pd.DataFrame(index=pool.frame.index)
        values = objectives.more_is_better(pool.frame)
        return values[SCORE], values.drop(columns=SCORE)

    def follow(self, follower: Follower) -> None:
        """Add this round's part of the candidates that may still be scored."""
        quota = math.ceil(follower.left / math.ceil(self.left / self.plan.pipeline.round_size))
        while quota > 0 and (added := follower.propose(self.belief.mean, quota)):
            quota -= added

    def choose(self) -> list[str]:
        """What to train next; nothing where all are trained."""
        if len(self.outcomes) == len(self.result.kept):
            return []
        pipeline = self.plan.pipeline
        size = pipeline.round_size if self.outcomes else first_round(pipeline)
        belief, count = self.belief, min(size, self.left)
        chosen = belief.next(count) if self.others.empty else next_for_front(belief, self.others, count)
        known = self.is_informed
        self.result.expected += [
            Expected(name, self.expected(belief, name), float(belief.std[name]))
            if known
            else Expected(name, None, None)
            for name in chosen
        ]
        return chosen

    def expected(self, belief: Belief, name: str) -> float:
        """The metric that is expected of a candidate: no share above 1, and no error below 0."""
        return self.plan.split.task.nearest_possible(self.sign * float(belief.mean[name]))

    def learn(self, names: Iterable[str], runs: Sequence[Run]) -> None:
        """Take in what training gave."""
        self.outcomes |= {name: _outcome([run for run in runs if run.name == name], self.sign) for name in names}
        self.seconds += sum(run.seconds for run in runs)

    def conclude(self) -> None:
        """Keep what was trained, best first, and its front; say of all others what is expected."""
        self.learn(dict.fromkeys(run.name for run in self.result.survivors), self.result.survivors)
        belief, pool, metric = self.belief, self.result.kept, self.plan.split.task.metric_name
        values = pd.Series({name: one.value for name, one in self.outcomes.items()}, dtype=float)
        names = [str(name) for name in values.sort_values(ascending=False, kind="stable", na_position="last").index]
        left = {
            str(name): f"not trained: expected {metric_text(metric, self.expected(belief, str(name)))}"
            if self.is_informed
            else "not trained"
            for name in pool.frame.index.difference(names, sort=False)
        }
        if not self.others.empty:
            reached = self.others.join(values.rename(SCORE).dropna(), how="right")
            self.result.front = list(map(str, reached.index[fronts(reached) == 0]))
        trust = belief.trust if self.is_informed else belief.trust.iloc[:0]
        self.result.trust = {str(name): float(value) for name, value in trust.items()}
        self.result.kept = pool.narrow(names, {**pool.dropped, **left})


def _scores(pool: ScoreTable) -> list[str]:
    """The columns to learn from: the scores that rank, and the sizes."""
    return list(dict.fromkeys([*pool.proxies, *(name for name in ("params", "flops") if name in pool.frame)]))


def _outcome(runs: Iterable[Run], sign: int) -> _Outcome:
    """The outcome of a candidate's runs; NaN where none ended well."""
    values = [sign * run.metric for run in runs if run.ended_well and run.metric is not None]
    if not values:
        return _Outcome(np.nan, 0.0, 0)
    return _Outcome(fmean(values), variance(values) if len(values) > 1 else 0.0, len(values))


def _noise(outcomes: Iterable[_Outcome]) -> float:
    """The standard deviation of a mean over seeds; 0, which leaves it to be learnt, without two seeds of any."""
    repeated = [one for one in outcomes if one.seeds > 1]
    return float(np.sqrt(fmean(one.variance / one.seeds for one in repeated))) if repeated else 0.0
