"""One tuning: the weights, the method and the setting that rank a set of trained architectures best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from zerocost.combine.ranks import METHODS
from zerocost.statistics.ranking import kendall
from zerocost.tuning.scores import Setting

if TYPE_CHECKING:
    from optuna import Trial

_DISTANCE_PENALTY = 0.5
"""Kendall's τ that weights must gain for each unit of distance from the default, times the square root of the number of
trained architectures: the fewer there are, the more must be gained."""
_DEAD_ZONE = 0.25
"""A proxy for which a trial proposes less than this is left out."""
_AVERAGED_TRIALS = 10
"""Trials whose weights are averaged."""
_NEGLIGIBLE = 0.1
"""Weights below this share of the greatest are dropped."""

_Weights = dict[str, float]
Frames = Mapping[Setting, pd.DataFrame]


class Recipe(NamedTuple):
    """A way to rank architectures.

    Attributes:
        weights: the weight of each proxy.
        method: the method that combines them, one of `zerocost.combine.ranks.METHODS`.
        setting: how architectures are scored.
        kendall: Kendall's τ with the accuracies that it was tuned on.
    """

    weights: _Weights
    method: str
    setting: Setting
    kendall: float


def kendall_tau(values: npt.ArrayLike, accuracy: npt.ArrayLike) -> float:
    """Kendall's τ_b of values with accuracies; 0 if all values are equal, NaN if all accuracies are.

    A value that is NaN ranks last.

    >>> kendall_tau([1.0, 2.0, float("nan")], [0.6, 0.7, 0.5])
    1.0
    """
    scores, truth = np.asarray(values, np.float64), np.asarray(accuracy, np.float64)
    if (truth == truth[0]).all():
        return math.nan
    return float(np.nan_to_num(kendall(np.where(np.isnan(scores), -np.inf, scores), truth)))


def find_recipe(
    frames: Frames,
    accuracy: pd.Series[float],
    default: Recipe,
    *,
    trials: int,
    methods: Sequence[str] = ("log_rank",),
    seed: int = 0,
) -> Recipe:
    r"""The weights in [−1, 1], the method and the setting of the highest Kendall's τ with the accuracies.

    Optuna's TPE proposes them. It starts from the default under each setting and method, from each proxy alone, and
    from the default with one proxy more or less. It maximises :math:`\tau - \tfrac12 d / \sqrt n`, where d is the
    distance :math:`\sum |w - w_0|` of the weights from those of the default, both scaled so that their magnitudes sum
    to 1; so a few architectures do not overrule a good combination. The result is the mean of the weights of the ten
    best trials that share the setting and method of the best: it depends less on chance than the best one does.

    Args:
        frames: the scores under each setting, architectures by proxies.
        accuracy: the accuracies of the same architectures, in the same order.
        default: where the search starts and what it stays close to.
        trials: number of proposals.
        methods: the methods that may be chosen, besides that of the default.
        seed: seeds TPE.
    """
    import optuna
    from optuna.samplers import TPESampler

    from zerocost.samplers.strategies import quiet_optuna

    names = _proxies_to_weigh(frames, default.weights)
    settings, methods = list(frames), tuple(dict.fromkeys((default.method, *methods)))
    default = default._replace(weights={n: w for n, w in default.weights.items() if n in names})
    origin = _normalise_weights(default.weights)
    made: dict[int, tuple[_Weights, str, Setting, float]] = {}

    def objective(trial: Trial) -> float:
        proposed = {name: trial.suggest_float(name, -1, 1) for name in names}
        method = trial.suggest_categorical("rule", methods) if len(methods) > 1 else methods[0]
        place = trial.suggest_categorical("setting", range(len(settings))) if len(settings) > 1 else 0
        weights = {n: _proposed_weight(x) for n, x in proposed.items() if abs(x) > _DEAD_ZONE}
        if not weights:
            return -1.0
        frame = frames[settings[place]]
        tau = kendall_tau(METHODS[method](frame[list(weights)], weights), accuracy)
        normal = _normalise_weights(weights)
        distance = sum(abs(normal.get(n, 0) - origin.get(n, 0)) for n in {*normal, *origin})
        value = tau - _DISTANCE_PENALTY * distance / math.sqrt(len(accuracy))
        made[trial.number] = (normal, method, settings[place], value)
        return value

    starts = _starting_trials(names, default, settings, methods)[: max(1, trials // 2)]
    with quiet_optuna():
        sampler = TPESampler(seed=seed, multivariate=True, n_startup_trials=len(starts))
        study = optuna.create_study(sampler=sampler, direction="maximize")
        for start in starts:
            study.enqueue_trial(start)
        study.optimize(objective, n_trials=trials)
    ordered = sorted(made.values(), key=lambda one: -one[3])
    _, method, setting, _ = ordered[0]
    alike = [weights for weights, m, s, _ in ordered if (m, s) == (method, setting)][:_AVERAGED_TRIALS]
    mean = {n: float(np.mean([weights.get(n, 0.0) for weights in alike])) for n in names}
    greatest = max(map(abs, mean.values()))
    weights = {n: round(w / greatest, 3) for n, w in mean.items() if abs(w) >= _NEGLIGIBLE * greatest}
    values = METHODS[method](frames[setting][list(weights)], weights)
    return Recipe(weights, method, setting, kendall_tau(values, accuracy))


def _proposed_weight(proposal: float) -> float:
    """The weight that a proposal outside the dead zone stands for.

    >>> _proposed_weight(-1.0), _proposed_weight(0.625)
    (-1.0, 0.5)
    """
    return math.copysign((abs(proposal) - _DEAD_ZONE) / (1 - _DEAD_ZONE), proposal)


def _proposal_of(weight: float) -> float:
    """The proposal that stands for a weight: the inverse of `_proposed_weight`, and 0 for no weight."""
    return math.copysign(_DEAD_ZONE + (1 - _DEAD_ZONE) * abs(weight), weight) if weight else 0.0


def _proxies_to_weigh(frames: Frames, default: Mapping[str, float]) -> list[str]:
    """The proxies whose scores differ under some setting; of those outside the default half must have a value.

    All of the default where there is none.
    """
    least = {name: 0.0 if name in default else 0.5 for name in next(iter(frames.values()))}
    telling = [
        str(name)
        for name, share in least.items()
        if any(f[name].nunique(dropna=share > 0) > 1 and f[name].notna().mean() >= share for f in frames.values())
    ]
    return telling or list(default)


def _normalise_weights(weights: Mapping[str, float]) -> _Weights:
    """The weights, scaled so that their magnitudes sum to 1."""
    total = sum(map(abs, weights.values()))
    return {name: weight / total for name, weight in weights.items()}


def _starting_trials(
    names: Sequence[str], default: Recipe, settings: Sequence[Setting], methods: Sequence[str]
) -> list[dict[str, float | str]]:
    """The first trials, as Optuna enqueues them, the default first."""

    def as_trial(weights: Mapping[str, float], setting: Setting, method: str) -> dict[str, float | str]:
        x = {n: _proposal_of(weights.get(n, 0.0)) for n in names}
        rule = {"rule": method} if len(methods) > 1 else {}
        return x | rule | ({"setting": settings.index(setting)} if len(settings) > 1 else {})

    w0, own = default.weights, (default.setting, default.method)
    ways = [(s, m) for s in settings for m in methods if (s, m) != own]
    more = [w0 | {n: 1.0} for n in names if n not in w0]
    less = [{m: w for m, w in w0.items() if m != n} for n in w0 if len(w0) > 1]
    alone = [{n: 1.0} for n in names]
    return [
        as_trial(w0, *own),
        *[as_trial(w0, *way) for way in ways],
        *[as_trial(weights, *own) for weights in (*less, *more, *alone)],
    ]


@dataclass(frozen=True)
class Tuner:
    """Finds a recipe for the trained architectures it is called with.

    Attributes:
        default: the recipe that the search starts from.
        proxies: the proxies that may get a weight, besides those of the default.
        trials: number of proposals.
        methods: the methods that may be chosen, besides that of the default.
        seed: the seed of tuning number 0; other numbers add to it.
    """

    default: Recipe
    proxies: Sequence[str]
    trials: int = 100
    methods: Sequence[str] = ("log_rank",)
    seed: int = 0

    def __call__(self, frames: Frames, accuracy: pd.Series[float], number: int = 0) -> Recipe:
        columns = list(dict.fromkeys([*self.proxies, *self.default.weights]))
        few = {setting: frame[columns] for setting, frame in frames.items()}
        seed = self.seed + number
        return find_recipe(few, accuracy, self.default, trials=self.trials, methods=self.methods, seed=seed)
