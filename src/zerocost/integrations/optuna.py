"""Scores in an Optuna study: as its objective, or as a filter before training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
import pandas as pd
from optuna.study import StudyDirection
from torch import nn

from zerocost.base.errors import Failure, InputError
from zerocost.combine import as_combination, proxies_for
from zerocost.data.as_batch import as_batches
from zerocost.data.batch import separate_targets
from zerocost.engine.losses import Loss
from zerocost.engine.proxy import Proxy
from zerocost.engine.signals import measured_signals
from zerocost.proxies.registry import resolve
from zerocost.scoring.candidates import initialise
from zerocost.scoring.card import ScoreCard, failed_card
from zerocost.scoring.score import score

SCORES, FAILURES = "zerocost:scores", "zerocost:failures"
"""User attributes of a trial: proxy to value, and proxy to the reason why it has none."""

_COUNTS = {"parameter_count", "non_embedding_count", "parameter_tensors", "multiply_adds", "weight_depth"}
"""Signals of the size of a network. A study may minimise proxies that use no others."""


def objective(
    build: Callable[[optuna.Trial], nn.Module],
    batch: Any,
    proxies: Iterable[str | Proxy] | str,
    *,
    loss: Loss | None = None,
    seed: int = 0,
) -> Callable[[optuna.Trial], float | tuple[float, ...]]:
    """An objective that scores the network of a trial untrained.

    Higher is better: create the study with direction "maximize", or with one "maximize" for each of several proxies.
    Only of budgets, such as `peak_memory`, less is better: their direction is "minimize". Sizes (`params`,
    `non_embedding_params`, `layer_count`, `flops`, `depth`) may be maximised or minimised. A trial whose network cannot
    be built or scored is pruned, whatever was raised: its user attribute `zerocost:failures` has the reasons,
    `zerocost:scores` the scores that were computed.

    Args:
        build: makes the network of a trial; torch is seeded with `seed` meanwhile.
        batch: what `zerocost.score` takes.
        proxies: names of proxies. The objective returns the value of a single one, or the tuple of several.
        loss: function of outputs and labels, a mean over samples; by default the one that fits the labels.
        seed: of the initial weights and of the passes.

    Raises:
        InputError: an unknown proxy, or a batch that no network could be scored on; in a trial, directions of the study
            that do not fit the proxies, or a `build` that returns no network.

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
    batches = as_batches(batch)
    wanted = proxies_for(proxies, separate_targets(batches[0]).inputs)

    def value(trial: optuna.Trial) -> float | tuple[float, ...]:
        if isinstance(trial, optuna.Trial):
            _check_directions(trial.study.directions, wanted)
        try:
            model = initialise(partial(build, trial), seed)
        except Failure as reason:
            if isinstance(reason.__cause__, optuna.TrialPruned):
                raise reason.__cause__ from None
            card = failed_card(wanted, reason)
        else:
            card = score(model, batches, wanted, loss=loss, seed=seed)
        _record_scores(trial, card)
        if card.failures:
            raise optuna.TrialPruned(_describe_failures(card))
        values = tuple(card[p.name] for p in wanted)
        return values if len(values) > 1 else values[0]

    return value


@dataclass(frozen=True, repr=False)
class ScoreFilter:
    """Prunes trials whose networks have low scores, or much of a budget; call it in an objective before training.

    The scores of every trial are kept in the study, so that all processes of the study filter by the same pool. Several
    proxies are combined by `zerocost.combine.log_rank` among the trials scored so far. Of a budget, such as
    `peak_memory`, less is better, as in `rank`: trials of the largest networks are pruned. Trials that were not scored
    by all of these proxies do not count.

    Args:
        batch: what `zerocost.score` takes.
        proxies: names of the proxies.
        fraction: share of the trials to prune. A trial is pruned when less than this share of the others have a lower
            or equal score, so none is pruned only because it is equal.
        warmup: how many trials are scored before the first is pruned.
        loss: function of outputs and labels, a mean over samples; by default the one that fits the labels.
        seed: of the passes; the network is scored with the weights that it has.

    Raises:
        InputError: a fraction outside [0, 1), a warm-up below 1, an unknown proxy, a batch that no network could be
            scored on.

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
    loss: Loss | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.fraction < 1:
            raise InputError(f"fraction is the share of trials to skip, at least 0 and below 1, got {self.fraction}")
        if self.warmup < 1:
            raise InputError(f"warmup must be at least 1 trial, got {self.warmup}")
        object.__setattr__(self, "batch", as_batches(self.batch))
        object.__setattr__(self, "proxies", proxies_for(self.proxies, separate_targets(self.batch[0]).inputs))

    def __repr__(self) -> str:
        names = ",".join(self.names)
        return f"ScoreFilter(proxies={names!r}, fraction={self.fraction}, warmup={self.warmup}, seed={self.seed})"

    @property
    def names(self) -> list[str]:
        """Of the proxies."""
        return [p.name for p in resolve(self.proxies)]

    def __call__(self, trial: optuna.trial.BaseTrial, model: nn.Module) -> ScoreCard:
        """Score a trial's network.

        A trial outside a study, such as `study.best_trial` evaluated again, is never pruned.

        Args:
            trial: the trial.
            model: its untrained network.

        Raises:
            optuna.TrialPruned: the network is not worth training, or no proxy can be computed on it.
        """
        card = _record_scores(trial, score(model, self.batch, self.proxies, loss=self.loss, seed=self.seed))
        if not isinstance(trial, optuna.Trial):
            return card
        if not card.scores:
            raise optuna.TrialPruned(_describe_failures(card))
        others = [t for t in trial.study.get_trials(deepcopy=False) if t.number != trial.number and self.has_scored(t)]
        if len(others) >= self.warmup:
            scores = [t.user_attrs[SCORES] for t in others]
            table = pd.DataFrame([*scores, dict(card)], columns=self.names, dtype=float)
            combined = as_combination(self.proxies)(table)
            reached = float((combined.iloc[:-1] <= combined.iloc[-1]).mean())
            if reached < self.fraction:
                raise optuna.TrialPruned(
                    f"scored as high as {reached:.0%} of {len(others)} trials, below the {self.fraction:.0%} asked for"
                )
        return card

    def has_scored(self, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether a trial was scored by all of these proxies, and some of them could be computed."""
        scores, failures = (trial.user_attrs.get(key, {}) for key in (SCORES, FAILURES))
        return all(name in scores or name in failures for name in self.names) and any(n in scores for n in self.names)


def _check_directions(directions: list[StudyDirection], proxies: list[Proxy]) -> None:
    """`InputError` if a study minimises scores or maximises budgets, or has another number of objectives."""
    given = [direction.name.lower() for direction in directions]
    right = ["minimize" if p.is_budget else "maximize" for p in proxies]
    if len(given) == len(right):
        sizes = [measured_signals(p.signals) <= _COUNTS and not p.is_budget for p in proxies]
        right = [g if size else r for g, size, r in zip(given, sizes, right, strict=True)]
    if given != right:
        advice = f"directions={right}" if len(right) > 1 else f"direction={right[0]!r}"
        raise InputError(
            f"the objective returns {', '.join(p.name for p in proxies)} (higher is better, of budgets less), but the "
            f"study's directions are {given}; write optuna.create_study({advice})"
        )


def _record_scores(trial: optuna.trial.BaseTrial, card: ScoreCard) -> ScoreCard:
    """Record a card's scores and failures in the trial, beside those of other proxies; returns the card."""
    for key, found in ((SCORES, card.scores), (FAILURES, card.failures)):
        before = trial.user_attrs.get(key, {})
        kept = {name: value for name, value in before.items() if name not in {*card.scores, *card.failures}}
        if kept | found != before:
            trial.set_user_attr(key, kept | found)
    return card


def _describe_failures(card: ScoreCard) -> str:
    """The reasons why proxies have no value, for Optuna's log."""
    return "; ".join(f"{name}: {reason}" for name, reason in card.failures.items())
