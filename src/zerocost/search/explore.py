"""explore(): a strategy proposes, what is over a limit is refused, the rest is judged, and the strategy told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import optuna
import pandas as pd
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import CmaEsSampler
from optuna.trial import TrialState

from zerocost.base.errors import InputError
from zerocost.samplers.base import SCORES
from zerocost.samplers.suggest import ARCHITECTURE, REJECTED, suggest
from zerocost.search import shared_study as shared
from zerocost.search.measure import Judge, Judged
from zerocost.search.objectives import Objectives
from zerocost.search.shared_study import FAILURES, TWIN
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace

TOGETHER = 8
"""Architectures that are proposed before the strategy learns what they were worth, so that they can be judged at once.
Always the same, however many processes there are, so that the result does not depend on their number."""
IDLE = 1000
"""Proposals in a row that may bring nothing to judge."""
EXHAUSTED = "the space is exhausted"

Limit = Callable[[Architecture], str | None]


@dataclass
class Explored:
    """What an exploration found.

    Attributes:
        judged: everything that was judged, by the architecture's text, in the order proposed.
        rejected: why each other proposal was not judged.
        proposals: how many there were in all.
        repeats: how many of them were of what was known already.
        idle: how many in a row, the last ones, brought nothing to judge.
        stopped: why the exploration ended.
    """

    judged: dict[str, Judged] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    proposals: int = 0
    repeats: int = 0
    idle: int = 0
    stopped: str = ""

    @property
    def frame(self) -> pd.DataFrame:
        """One row an architecture, one column a number; NaN where it is missing."""
        scores = {text: one.scores for text, one in self.judged.items()}
        return pd.DataFrame.from_dict(scores, orient="index", dtype=float)


class Stop(NamedTuple):
    """When an exploration ends before it has judged as many as it should: see `Pipeline`."""

    trials: int | None = None
    seconds: float | None = None
    patience: int | None = None


NEVER = Stop()


def explore(
    space: SearchSpace,
    study: optuna.Study,
    judge: Judge,
    objectives: Objectives,
    *,
    candidates: int,
    limit: Limit = lambda arch: None,
    stop: Stop = NEVER,
    several: bool = False,
    progress: Callable[[int, int], None] | None = None,
    found: Explored | None = None,
) -> Explored:
    """Judge architectures that the study's sampler proposes, until there are `candidates` of them.

    Proposals come in rounds, are told in the order they came, and twins of what is known cost nothing. A trial over a
    limit, or without a value, is told as pruned. It ends earlier when the space is exhausted, when `stop` says so, or
    when proposals bring nothing new. With `several`, other processes work on the same study: what they have judged
    counts, and what one of them leaves undone is done again. `found` is filled as it goes, so that it can be read when
    this was interrupted.

    >>> from torch import nn
    >>> from zerocost.samplers import RandomSampler
    >>> from zerocost.spaces import from_function
    >>> space = from_function(lambda choose: nn.Linear(choose.int("width", 1, 4), 1), "linear")
    >>> study = optuna.create_study(sampler=RandomSampler(space), direction="maximize")
    >>> def judge(archs):
    ...     yield from [Judged({"length": len(str(arch))}, {}) for arch in archs]
    >>> found = explore(space, study, judge, Objectives(("length",)), candidates=10)
    >>> len(found.judged), found.stopped
    (4, 'the space is exhausted')
    """
    found = Explored() if found is None else found
    proposals = Proposals(space, study, objectives, found, candidates, limit, stop.trials, several)
    start, unchanged = time.monotonic(), 0
    best: set[str] = set()
    try:
        while not found.stopped:
            batch, twins = proposals.round()
            for (_, text), judged in zip(batch, judge([space.parse(text) for _, text in batch]), strict=True):
                found.judged[text] = judged
                if progress:
                    progress(len(found.judged), candidates)
            proposals.tell(batch + twins)
            if stop.patience:
                before, best = best, set(objectives.front(found.frame))
                unchanged = unchanged + len(batch) if best == before else 0
            if len(found.judged) >= candidates:
                found.stopped = f"{candidates:,} architectures were judged"
            elif stop.patience and unchanged >= stop.patience:
                found.stopped = f"the last {unchanged:,} brought nothing better"
            elif stop.seconds is not None and time.monotonic() - start >= stop.seconds:
                found.stopped = f"{stop.seconds:g} seconds are over"
            elif several and not batch and not found.stopped:
                time.sleep(shared.POLL)
    finally:
        proposals.leave()
    return found


Trials = list[tuple[optuna.Trial, str]]
"""Trials and the texts of their architectures."""


@dataclass
class Proposals:
    """The proposals of a study's sampler, in rounds."""

    space: SearchSpace
    study: optuna.Study
    objectives: Objectives
    found: Explored
    candidates: int
    limit: Limit
    trials: int | None
    several: bool

    def __post_init__(self) -> None:
        self.known: dict[str, str] = {}  # by the key that twins share, the text of what was judged or refused
        self.keys: dict[str, str] = {}
        self.order = iter(self.space)
        self.left = next(self.order, None)

    def round(self) -> tuple[Trials, Trials]:
        """Architectures to judge, and their twins; what is over a limit, or known, is told at once."""
        if self.several:
            self.sync()
        batch: dict[str, tuple[optuna.Trial, str]] = {}
        twins: Trials = []
        found = self.found
        while len(batch) < min(TOGETHER, self.candidates - len(found.judged)) and self.more():
            trial = self.study.ask()
            found.proposals += 1
            found.idle += 1
            text, reason = self.proposal(trial)
            key = self.key(text)
            if reason:
                found.rejected[text or f"trial {trial.number}"] = reason
                self.known.setdefault(key, text)
                trial.set_user_attr(REJECTED, reason)
                self.study.tell(trial, state=TrialState.PRUNED)
            elif key in batch or self.known.get(key) in found.judged:
                found.repeats += 1
                trial.set_user_attr(TWIN, self.known[key])
                twins.append((trial, self.known[key]))
                if key not in batch:
                    self.tell([twins.pop()])
            elif self.several and not shared.needed(self.study, trial, key, self.candidates):
                trial.set_user_attr(REJECTED, "another process has a twin of it, or there are enough")
                self.study.tell(trial, state=TrialState.FAIL)
                break
            else:
                batch[key] = trial, text
                self.known[key] = text
                found.idle = 0
        return list(batch.values()), twins

    def more(self) -> bool:
        """Whether to ask for another proposal; if not, `found.stopped` says why, unless others may leave something."""
        trials = self.study.get_trials(deepcopy=False) if self.several else []
        if any(trial.state == TrialState.WAITING for trial in trials):
            return True
        while self.left is not None and self.space.canonical(self.left) in self.known:
            self.left = next(self.order, None)
        if self.left is None:
            self.found.stopped = EXHAUSTED if all(trial.state.is_finished() for trial in trials) else ""
            return False
        if self.trials is not None and self.found.proposals >= self.trials:
            self.found.stopped = f"{self.trials:,} proposals were made"
        elif self.found.idle >= IDLE:
            self.found.stopped = f"{IDLE:,} proposals in a row were known or over a limit"
        return not self.found.stopped and len(shared.counted(trials)) < self.candidates

    def proposal(self, trial: optuna.Trial) -> tuple[str, str]:
        """The text of a trial's architecture, if it is one, and why it is not to be judged."""
        if self.several:
            shared.sign(trial)
        try:
            arch = suggest(self.space, trial, numeric=isinstance(self.study.sampler, CmaEsSampler))
        except InputError as error:
            return "", str(error)
        return str(arch), self.limit(arch) or ""

    def key(self, text: str) -> str:
        """What the twins of an architecture share; none for no text."""
        if text and text not in self.keys:
            self.keys[text] = self.space.canonical(self.space.parse(text))
        return self.keys.get(text, "")

    def tell(self, trials: Trials) -> None:
        """End trials with the values that their architectures have among all that was judged."""
        if not trials:
            return
        values = self.objectives.values(self.found.frame)
        for trial, text in trials:
            judged = self.found.judged[text]
            row = {str(name): float(column[text]) for name, column in values.items()}
            missing = next((name for name, value in row.items() if math.isnan(value)), None)
            with suppress(UpdateFinishedTrialError):  # others have given it up
                trial.set_user_attr(FAILURES, judged.failures)
                trial.set_user_attr(SCORES, judged.scores)
                if missing is None:
                    self.study.tell(trial, list(row.values()))
                else:
                    trial.set_user_attr(REJECTED, judged.failures.get(missing, f"it has no {missing}"))
                    self.study.tell(trial, state=TrialState.PRUNED)

    def sync(self) -> None:
        """Read what all processes have found, and take over what those that ended have left undone."""
        shared.revive(self.study, shared.lost(self.study))
        trials = self.study.get_trials(deepcopy=False)
        judged = shared.judged(trials)
        self.found.judged = judged | {t: one for t, one in self.found.judged.items() if t not in judged}
        self.found.rejected = shared.rejected(trials)
        self.found.proposals = len(trials)
        texts = [t.user_attrs.get(ARCHITECTURE, "") for t in trials if t.state != TrialState.FAIL]
        self.known = {self.key(text): text for text in [*texts, *judged]}

    def leave(self) -> None:
        """Leave to others what was proposed and not judged, because this ends early."""
        if self.several:
            shared.revive(self.study, shared.own(self.study))
            self.sync()
