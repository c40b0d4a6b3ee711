"""Between rounds of training, a strategy goes on proposing, now by what is expected of all that it has proposed."""

from __future__ import annotations

import time

import pandas as pd
from optuna import Study, create_study
from optuna.trial import FrozenTrial, TrialState, create_trial

from zerocost.samplers.strategies import make_sampler, quiet_optuna
from zerocost.samplers.suggest import ARCHITECTURE
from zerocost.search.explore import ROUND_SIZE, Proposer, explore
from zerocost.search.result import SearchResult
from zerocost.search.stages import Explored, first_half, stopping


class Follower:
    """Goes on exploring, up to the candidates that the search may score.

    Args:
        explored: what was explored so far; it grows.
        result: the result of the search; it gets the larger table, and what passes the filter of it.

    Attributes:
        count: how many were measured since.
        seconds: the time this took.
    """

    def __init__(self, explored: Explored, result: SearchResult) -> None:
        self.explored, self.result = explored, result
        self.trials: dict[str, FrozenTrial] = {}
        self.count, self.seconds = 0, 0.0
        self.ended = len(explored.found.measured) < first_half(explored.plan.pipeline)

    @property
    def left(self) -> int:
        """How many more may be measured; none where exploring had ended before its first half was."""
        return 0 if self.ended else self.explored.plan.pipeline.candidates - len(self.explored.found.measured)

    def propose(self, expected: pd.Series[float], count: int) -> int:
        """Measure more architectures, at most `count` and a round of proposals; how many there were.

        Args:
            expected: what is expected of those that pass the filter, by text; more is better.
            count: how many are wanted.
        """
        explored, plan = self.explored, self.explored.plan
        found, before, start = explored.found, len(explored.found.measured), time.perf_counter()
        wanted, limit = before + min(count, self.left, ROUND_SIZE), plan.pipeline.seconds
        seconds = None if limit is None else limit - explored.exploring - self.seconds
        if seconds is not None and seconds <= 0:
            return 0
        found.stopped, found.idle = "", 0
        explored.study = self._study_by(expected)
        until = stopping(plan.pipeline, candidates=wanted, seconds=seconds)
        proposer = Proposer(plan.space, explored.study, plan.objectives, until, plan.limits.check, found=found)
        explore(proposer, explored.timed)
        explored.tables = [plan.table(found.measured, plan.pipeline.fidelities[0], explored.seconds)]
        now = explored.result()
        for name in ("table", "kept", "front", "order"):
            setattr(self.result, name, getattr(now, name))
        added = len(found.measured) - before
        self.count += added
        self.seconds += time.perf_counter() - start
        return added

    def _study_by(self, expected: pd.Series[float]) -> Study:
        """A study of the trials so far with these values, the best last, where evolution finds its parents."""
        plan, study = self.explored.plan, self.explored.study
        assert study is not None
        for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
            self.trials.setdefault(trial.user_attrs[ARCHITECTURE], trial)
        pipeline = plan.pipeline
        sampler = make_sampler(pipeline.strategy, plan.space, seed=pipeline.seed, budget=pipeline.candidates)
        with quiet_optuna():
            made = create_study(sampler=sampler, direction="maximize")
        for text, value in expected.sort_values(kind="stable").items():
            known = self.trials[str(text)]
            made.add_trial(
                create_trial(
                    params=known.params,
                    distributions=known.distributions,
                    value=float(value),
                    user_attrs={ARCHITECTURE: str(text)},
                )
            )
        return made
