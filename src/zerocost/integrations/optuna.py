"""Scores in an Optuna study: as its objective, or as a filter before training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import optuna
import pandas as pd
from torch import nn

from zerocost.combine.ranks import log_rank
from zerocost.engine.passes.batch import Loss, cross_entropy
from zerocost.errors import Failure, InputError
from zerocost.proxies.registry import Proxy, resolve
from zerocost.scoring import ScoreCard, score
from zerocost.seeding import initialise

SCORES, FAILURES = "zerocost:scores", "zerocost:failures"
"""User attributes of a trial: proxy to value, and proxy to the reason why it has none."""


def objective(
    build: Callable[[optuna.Trial], nn.Module],
    batch: Any,
    proxies: Iterable[str | Proxy] | str,
    *,
    loss: Loss = cross_entropy,
    seed: int = 0,
) -> Callable[[optuna.Trial], float | tuple[float, ...]]:
    """An objective that scores the network of a trial untrained.

    Higher is better: create the study with direction "maximize", or with one "maximize" for each of several proxies.
    A trial whose network cannot be built or scored is pruned; its user attribute `zerocost:failures` says why, as
    `zerocost:scores` has what could be computed.

    Args:
        build: makes a network out of what it suggests; torch is seeded by `seed` meanwhile.
        batch: what `zerocost.score` takes.
        proxies: names of proxies. The value of one is the objective's, those of several its tuple of values.
        loss: function of outputs and labels, a mean over samples.
        seed: of the initial weights and of the passes.

    Raises:
        InputError: an unknown proxy, or, in a trial, a batch that no network could be scored on.

    >>> import torch
    >>> batch = torch.rand(8, 4), torch.arange(8) % 2
    >>> def build(trial):
    ...     width = trial.suggest_int("width", 2, 32)
    ...     return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))
    >>> study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    >>> study.optimize(objective(build, batch, "synflow"), n_trials=3)
    >>> study.best_value == study.best_trial.user_attrs["zerocost:scores"]["synflow"]
    True
    """
    wanted = resolve(proxies)

    def value(trial: optuna.Trial) -> float | tuple[float, ...]:
        try:
            model = initialise(lambda: build(trial), seed)
        except Failure as failure:
            if isinstance(failure.__cause__, optuna.TrialPruned):
                raise failure.__cause__ from None
            reject(trial, {p.name: str(failure) for p in wanted})
        card = noted(trial, score(model, batch, wanted, loss=loss, seed=seed))
        if card.failures:
            reject(trial, card.failures)
        values = tuple(card[p.name] for p in wanted)
        return values if len(values) > 1 else values[0]

    return value


@dataclass(frozen=True)
class ScoreFilter:
    """Keeps networks of low score from being trained, when called in an objective before its training.

    The scores of every trial are kept in the study, so that all processes that work on it filter by the same pool.
    Several proxies are combined by `zerocost.combine.log_rank` among the trials scored so far.

    Args:
        batch: what `zerocost.score` takes.
        proxies: names of the proxies.
        fraction: share of the trials to skip, the lowest: a trial is pruned when fewer than this share of the others
            score lower; equal scores count half.
        warmup: how many trials are let through before the first is pruned.
        loss: function of outputs and labels, a mean over samples.
        seed: of the passes; the weights are scored as the network has them.

    Raises:
        InputError: a fraction outside [0, 1), a warm-up below 1, an unknown proxy.

    >>> import torch
    >>> worth = ScoreFilter((torch.rand(8, 4), torch.arange(8) % 2), "synflow", fraction=0.5, warmup=1)
    >>> def train(trial):
    ...     width = trial.suggest_int("width", 1, 64)
    ...     worth(trial, nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2)))
    ...     return width  # where a real objective would train
    >>> study = optuna.create_study(direction="maximize")
    >>> for width in 32, 2, 64:
    ...     study.enqueue_trial({"width": width})
    >>> study.optimize(train, n_trials=3)
    >>> [trial.state.name for trial in study.trials]
    ['COMPLETE', 'PRUNED', 'COMPLETE']
    """

    batch: Any
    proxies: Iterable[str | Proxy] | str
    fraction: float = 0.5
    warmup: int = 10
    loss: Loss = cross_entropy
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.fraction < 1:
            raise InputError(f"fraction is the share of trials to skip, at least 0 and below 1, got {self.fraction}")
        if self.warmup < 1:
            raise InputError(f"warmup must be at least 1 trial, got {self.warmup}")
        object.__setattr__(self, "proxies", resolve(self.proxies))

    def __call__(self, trial: optuna.trial.BaseTrial, model: nn.Module) -> ScoreCard:
        """The scores of a trial's network; `optuna.TrialPruned` when it is not worth training.

        A network that no proxy can be computed of is pruned, too. A trial outside a study, such as `study.best_trial`
        evaluated again, is scored and never pruned.
        """
        card = noted(trial, score(model, self.batch, self.proxies, loss=self.loss, seed=self.seed))
        if not isinstance(trial, optuna.Trial):
            return card
        if not card.scores:
            reject(trial, card.failures)
        others = [t.user_attrs[SCORES] for t in trial.study.get_trials(deepcopy=False) if self.other(t, trial)]
        if len(others) >= self.warmup:
            below = position(pd.DataFrame([*others, dict(card)], columns=[p.name for p in resolve(self.proxies)]))
            if below < self.fraction:
                raise optuna.TrialPruned(
                    f"scored higher than {below:.0%} of {len(others)} trials, below the {self.fraction:.0%} asked for"
                )
        return card

    def other(self, candidate: optuna.trial.FrozenTrial, trial: optuna.Trial) -> bool:
        """Whether a trial of the study is another one that has scores."""
        return candidate.number != trial.number and bool(candidate.user_attrs.get(SCORES))


def position(scores: pd.DataFrame) -> float:
    """The share of all rows but the last that combine to less than the last; equal ones count half."""
    combined = log_rank(scores.astype(float))
    others, own = combined.iloc[:-1], combined.iloc[-1]
    return float(((others < own) + 0.5 * (others == own)).mean())


def noted(trial: optuna.trial.BaseTrial, card: ScoreCard) -> ScoreCard:
    """The card, its scores and failures written into the trial."""
    trial.set_user_attr(SCORES, card.scores)
    if card.failures:
        trial.set_user_attr(FAILURES, card.failures)
    return card


def reject(trial: optuna.trial.BaseTrial, failures: dict[str, str]) -> NoReturn:
    """Prune a trial, the reasons kept in it."""
    trial.set_user_attr(FAILURES, failures)
    raise optuna.TrialPruned("; ".join(f"{name}: {reason}" for name, reason in failures.items()))
