"""explore(): a strategy proposes, what is over a limit is refused, the rest is measured, and the strategy is told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import optuna
import pandas as pd
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import CmaEsSampler
from optuna.trial import TrialState

from zerocost.base.errors import InputError
from zerocost.base.progress import StepProgress
from zerocost.samplers.base import SCORES
from zerocost.samplers.suggest import ARCHITECTURE, REJECTED, suggest
from zerocost.search import shared_study as shared
from zerocost.search.measure import Measure, Measurement
from zerocost.search.objectives import Objectives
from zerocost.search.settings import Stopping
from zerocost.search.shared_storage import FAILURES, TWIN
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace

ROUND_SIZE = 8
"""Architectures that are proposed before a strategy learns what they were worth, so that they can be measured at once.
Always the same, however many processes there are, so that the result does not depend on their number."""
_TIGHT = 40
"""Proposals over a limit after which others are moved towards it, if fewer than one in ten keeps to it."""
_MOST_VAIN = 3
"""Proposals in a row that are moved towards a limit in vain, after which none is."""
MOST_IDLE = 1000
"""Proposals in a row that may bring nothing to measure."""
_EXHAUSTED = "the space is exhausted"

_Repair = Callable[[Architecture, SearchSpace, np.random.Generator], Architecture | None]
"""An architecture that keeps to the limits, near one that does not."""
LimitCheck = Callable[[Architecture], str | None]
"""Why an architecture is over a limit; None when it keeps to all."""
_Trials = list[tuple[optuna.Trial, str]]
"""Trials and the texts of their architectures."""


@dataclass
class Exploration:
    """What an exploration has found so far.

    Attributes:
        measured: everything that was measured, by the architecture's text, in the order proposed.
        rejected: why each other proposal was not measured.
        proposals: how many there were in all.
        repeats: how many of them were known already.
        idle: how many in a row, the last ones, brought nothing to measure.
        stopped: why the exploration ended.
    """

    measured: dict[str, Measurement] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    proposals: int = 0
    repeats: int = 0
    idle: int = 0
    stopped: str = ""

    @property
    def frame(self) -> pd.DataFrame:
        """One row an architecture, one column a number; NaN where it is missing."""
        scores = {text: one.scores for text, one in self.measured.items()}
        return pd.DataFrame.from_dict(scores, orient="index", dtype=float)


def explore(proposer: Proposer, measure: Measure, progress: StepProgress | None = None) -> Exploration:
    """Measure architectures that a proposer proposes, until there are as many as its `stopping` says.

    Proposals come in rounds, and their results are told in the order they came; twins of what is known cost nothing.
    A trial over a limit, or without a value, is told as pruned. It ends earlier when the space is exhausted, when
    `stopping` says so, or when proposals bring nothing new. `proposer.found` is filled on the way, so that it can be
    read after an interruption.

    >>> from torch import nn
    >>> from zerocost.samplers import RandomSampler
    >>> from zerocost.spaces import from_function
    >>> space = from_function(lambda choose: nn.Linear(choose.int("width", 1, 4), 1), "linear")
    >>> study = optuna.create_study(sampler=RandomSampler(space), direction="maximize")
    >>> def measure(archs):
    ...     yield from [Measurement({"length": len(str(arch))}, {}) for arch in archs]
    >>> found = explore(Proposer(space, study, Objectives(("length",)), Stopping(candidates=10)), measure)
    >>> len(found.measured), found.stopped
    (4, 'the space is exhausted')
    """
    found, stopping = proposer.found, proposer.stopping
    start, unchanged = time.monotonic(), 0
    best: set[str] = set()
    try:
        while not found.stopped:
            batch, twins = proposer.round()
            archs = [proposer.space.parse(text) for _, text in batch]
            for (_, text), measurement in zip(batch, measure(archs), strict=True):
                found.measured[text] = measurement
                if progress:
                    progress(len(found.measured), stopping.candidates)
            proposer.tell(batch + twins)
            if stopping.patience:
                before, best = best, set(proposer.objectives.front(found.frame))
                unchanged = unchanged + len(batch) if best == before else 0
            if reason := _why_stop(stopping, found, unchanged, time.monotonic() - start):
                found.stopped = reason
            elif proposer.shared and not batch and not found.stopped:
                time.sleep(shared.POLL)
    finally:
        proposer.leave()
    return found


def _why_stop(stopping: Stopping, found: Exploration, unchanged: int, seconds: float) -> str:
    """Why an exploration ends after a round; empty when it does not."""
    if len(found.measured) >= stopping.candidates:
        return f"{stopping.candidates:,} architectures were measured"
    if stopping.patience and unchanged >= stopping.patience:
        return f"the last {unchanged:,} brought nothing better"
    if stopping.seconds is not None and seconds >= stopping.seconds:
        return f"{stopping.seconds:g} seconds are over"
    return ""


@dataclass
class Proposer:
    """Proposes architectures, in rounds, by the sampler of a study.

    Attributes:
        space: what is searched.
        study: whose sampler proposes.
        objectives: what is wanted.
        stopping: when to end.
        limit: says of an architecture why it is over a limit.
        repair: moves what is over a limit towards it, where most proposals are; the sampler is told of what it gives as
            of a proposal of its own.
        shared: whether other processes work on the same study. What they have measured counts, and what one of them
            leaves undone is done again.
        found: what was found so far, from which it goes on.
        round_size: how many are proposed before any of them is measured.
    """

    space: SearchSpace
    study: optuna.Study
    objectives: Objectives
    stopping: Stopping
    limit: LimitCheck = lambda arch: None
    repair: _Repair | None = None
    shared: bool = False
    found: Exploration = field(default_factory=Exploration)
    round_size: int = ROUND_SIZE

    def __post_init__(self) -> None:
        self.keys: dict[str, str] = {}
        # by the key that twins share, the text of what was measured or refused
        self.known: dict[str, str] = {self.key(text): text for text in self.found.measured}
        self.accepted = list(self.found.measured)  # also what is to be measured in this round
        self.repaired: set[str] = set()
        self.vain = 0
        self.order = iter(self.space)
        self.left = next(self.order, None)

    def round(self) -> tuple[_Trials, _Trials]:
        """Architectures to measure, and their twins; what is over a limit, or known, is told at once."""
        if self.shared:
            self.sync()
        batch: dict[str, tuple[optuna.Trial, str]] = {}
        twins: _Trials = []
        found = self.found
        while len(batch) < min(self.round_size, self.stopping.candidates - len(found.measured)) and self.more():
            trial = self.study.ask()
            found.proposals += 1
            found.idle += 1
            text, reason = self.proposal(trial)
            key = self.key(text)
            if reason:
                found.rejected[text or f"trial {trial.number}"] = reason
                self.propose_repaired(trial, text)
                self.known.setdefault(key, text)
                trial.set_user_attr(REJECTED, reason)
                self.study.tell(trial, state=TrialState.PRUNED)
            elif key in batch or self.known.get(key) in found.measured:
                found.repeats += 1
                trial.set_user_attr(TWIN, self.known[key])
                twins.append((trial, self.known[key]))
                if key not in batch:
                    self.tell([twins.pop()])
            elif self.shared and not shared.claim_trial(self.study, trial, key, self.stopping.candidates):
                trial.set_user_attr(REJECTED, "another process has a twin of it, or there are enough")
                self.study.tell(trial, state=TrialState.FAIL)
                break
            else:
                batch[key] = trial, text
                self.known[key] = text
                self.accepted.append(text)
                found.idle = 0
        return list(batch.values()), twins

    def propose_repaired(self, trial: optuna.Trial, text: str) -> None:
        """Where proposals keep being over a limit, put one that keeps to it next in the study."""
        refused, kept = len(self.found.rejected), len(set(self.accepted) - self.repaired)
        vain = self.vain >= _MOST_VAIN
        if self.repair is None or not text or self.shared or vain or refused < max(_TIGHT, 9 * kept):
            return
        rng = np.random.default_rng(trial.number)
        arch = self.space.parse(text)
        if self.accepted:
            fitting = self.accepted[int(rng.integers(len(self.accepted)))]
            arch = self.space.crossover(self.space.parse(fitting), arch, rng)
        moved = self.repair(arch, self.space, rng)
        self.vain += 1
        if moved is not None and self.key(str(moved)) not in self.known:
            self.vain = 0
            self.repaired.add(str(moved))
            self.study.enqueue_trial(dict(moved.choices))

    def more(self) -> bool:
        """Whether to ask for another proposal; if not, `found.stopped` says why, unless others may leave something."""
        trials = self.study.get_trials(deepcopy=False) if self.shared else []
        if any(trial.state == TrialState.WAITING for trial in trials):
            return True
        while self.left is not None and self.space.canonical(self.left) in self.known:
            self.left = next(self.order, None)
        if self.left is None:
            self.found.stopped = _EXHAUSTED if all(trial.state.is_finished() for trial in trials) else ""
            return False
        limit = self.stopping.trials
        if limit is not None and self.found.proposals >= limit:
            self.found.stopped = f"{limit:,} proposals were made"
        elif self.found.idle >= MOST_IDLE:
            self.found.stopped = f"{MOST_IDLE:,} proposals in a row were known or over a limit"
        return not self.found.stopped and len(shared.claimed_keys(trials)) < self.stopping.candidates

    def proposal(self, trial: optuna.Trial) -> tuple[str, str]:
        """The text of a trial's architecture, if it is one, and why it is not to be measured."""
        if self.shared:
            shared.sign_trial(trial)
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

    def tell(self, trials: _Trials) -> None:
        """End trials with the values that their architectures have among all that was measured."""
        if not trials:
            return
        values = self.objectives.values(self.found.frame)
        for trial, text in trials:
            measurement = self.found.measured[text]
            row = {str(name): float(column[text]) for name, column in values.items()}
            missing = next((name for name, value in row.items() if math.isnan(value)), None)
            with suppress(UpdateFinishedTrialError):  # others have given it up
                trial.set_user_attr(FAILURES, measurement.failures)
                trial.set_user_attr(SCORES, measurement.scores)
                if missing is None:
                    self.study.tell(trial, list(row.values()))
                else:
                    trial.set_user_attr(REJECTED, measurement.failures.get(missing, f"it has no {missing}"))
                    self.study.tell(trial, state=TrialState.PRUNED)

    def sync(self) -> None:
        """Read what all processes have found, and take over what those that ended have left undone."""
        shared.give_up(self.study, shared.lost_trials(self.study))
        trials = self.study.get_trials(deepcopy=False)
        measured = shared.measurements(trials)
        self.found.measured = measured | {t: one for t, one in self.found.measured.items() if t not in measured}
        self.found.rejected = shared.rejections(trials)
        self.found.proposals = len(trials)
        texts = [t.user_attrs.get(ARCHITECTURE, "") for t in trials if t.state != TrialState.FAIL]
        self.known = {self.key(text): text for text in [*texts, *measured]}

    def leave(self) -> None:
        """Leave to others what was proposed and not measured, because this ends early."""
        if self.shared:
            shared.give_up(self.study, shared.own_trials(self.study))
            self.sync()
