"""One tuning: the weights, the rule and the setting that rank a set of trained architectures best."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from zerocost.combine.ranks import METHODS
from zerocost.statistics.ranking import kendall
from zerocost.tuning.scores import Setting

if TYPE_CHECKING:
    from optuna import Trial

PRICE = 0.5
"""Kendall's τ that a weighting has to gain for each unit of distance from the default, times the root of the number of
trained architectures: the fewer there are, the more must be gained."""
DEAD = 0.25
"""What a trial proposes for a weight counts from here on; below, the proxy is left out."""
BEST = 10
"""Trials whose weights are averaged."""
NEGLIGIBLE = 0.1
"""Weights below this part of the greatest are dropped."""

Weights = dict[str, float]
Frames = Mapping[Setting, pd.DataFrame]


class Found(NamedTuple):
    """A way to rank, and Kendall's τ with the accuracies that it was chosen by."""

    weights: Weights
    method: str
    setting: Setting
    kendall: float


def agreement(values: npt.ArrayLike, accuracy: npt.ArrayLike) -> float:
    """Kendall's τ_b of values with accuracies; 0 for values that are all equal, NaN for accuracies that are.

    A value that is NaN ranks last.

    >>> agreement([1.0, 2.0, float("nan")], [0.6, 0.7, 0.5])
    1.0
    """
    scores, truth = np.asarray(values, np.float64), np.asarray(accuracy, np.float64)
    if (truth == truth[0]).all():
        return math.nan
    return float(np.nan_to_num(kendall(np.where(np.isnan(scores), -np.inf, scores), truth)))


def find(
    frames: Frames,
    accuracy: pd.Series[float],
    default: Found,
    *,
    trials: int,
    methods: Sequence[str] = ("log_rank",),
    seed: int = 0,
) -> Found:
    r"""The weights in [−1, 1], the rule and the setting of the highest Kendall's τ with the accuracies.

    Optuna's TPE proposes them. It starts from the default under each setting and rule, each proxy alone, and the
    default with a proxy more or less. What is made large is :math:`\tau - \tfrac12 d / \sqrt n`, where d is the
    distance :math:`\sum |w - w_0|` of the weights from those of the default, both of magnitudes that sum to 1; so a few
    architectures do not talk a good combination away. The weights are the mean of those of the ten best trials with
    the setting and rule of the best: less chance is in them than in those of one.

    `frames` have the scores under each setting; the accuracies are of the same architectures, in the same order.
    """
    import optuna
    from optuna.samplers import TPESampler

    from zerocost.samplers.strategies import quiet_optuna

    names = candidates(frames, default.weights)
    settings = list(frames)
    origin = scaled(default.weights)
    made: dict[int, tuple[Weights, str, Setting, float]] = {}

    def objective(trial: Trial) -> float:
        proposed = {name: trial.suggest_float(name, -1, 1) for name in names}
        method = trial.suggest_categorical("rule", methods) if len(methods) > 1 else methods[0]
        place = trial.suggest_categorical("setting", range(len(settings))) if len(settings) > 1 else 0
        weights = {n: math.copysign((abs(x) - DEAD) / (1 - DEAD), x) for n, x in proposed.items() if abs(x) > DEAD}
        if not weights:
            return -1.0
        frame = frames[settings[place]]
        tau = agreement(METHODS[method](frame[list(weights)], weights), accuracy)
        normal = scaled(weights)
        distance = sum(abs(normal.get(n, 0) - origin.get(n, 0)) for n in {*normal, *origin})
        value = tau - PRICE * distance / math.sqrt(len(accuracy))
        made[trial.number] = (normal, method, settings[place], value)
        return value

    starts = beginnings(names, default, settings, methods)[: max(1, trials // 2)]
    with quiet_optuna(), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = TPESampler(seed=seed, multivariate=True, n_startup_trials=len(starts))
        study = optuna.create_study(sampler=sampler, direction="maximize")
        for start in starts:
            study.enqueue_trial(start)
        study.optimize(objective, n_trials=trials)
    ordered = sorted(made.values(), key=lambda one: -one[3])
    _, method, setting, _ = ordered[0]
    alike = [weights for weights, m, s, _ in ordered if (m, s) == (method, setting)][:BEST]
    mean = {n: float(np.mean([weights.get(n, 0.0) for weights in alike])) for n in names}
    greatest = max(map(abs, mean.values()))
    weights = {n: round(w / greatest, 3) for n, w in mean.items() if abs(w) >= NEGLIGIBLE * greatest}
    values = METHODS[method](frames[setting][list(weights)], weights)
    return Found(weights, method, setting, agreement(values, accuracy))


def candidates(frames: Frames, default: Mapping[str, float]) -> list[str]:
    """The proxies worth a weight: those of the default, and those that tell architectures apart under a setting."""
    return [
        str(name)
        for name in next(iter(frames.values()))
        if name in default or any(f[name].nunique() > 1 and f[name].notna().mean() >= 0.5 for f in frames.values())
    ]


def scaled(weights: Mapping[str, float]) -> Weights:
    """The weights, of magnitudes that sum to 1."""
    total = sum(map(abs, weights.values()))
    return {name: weight / total for name, weight in weights.items()}


def beginnings(
    names: Sequence[str], default: Found, settings: Sequence[Setting], methods: Sequence[str]
) -> list[dict[str, float | str]]:
    """The trials to begin with, as Optuna enqueues them, the default first."""

    def asked(weights: Mapping[str, float], setting: Setting, method: str) -> dict[str, float | str]:
        x = {n: math.copysign(DEAD + (1 - DEAD) * abs(w), w) if (w := weights.get(n, 0.0)) else 0.0 for n in names}
        rule = {"rule": method} if len(methods) > 1 else {}
        return x | rule | ({"setting": settings.index(setting)} if len(settings) > 1 else {})

    w0, own = default.weights, (default.setting, default.method)
    ways = [(s, m) for s in settings for m in methods if (s, m) != own]
    more = [w0 | {n: 1.0} for n in names if n not in w0]
    less = [{m: w for m, w in w0.items() if m != n} for n in w0 if len(w0) > 1]
    alone = [{n: 1.0} for n in names]
    return [
        asked(w0, *own),
        *[asked(w0, *way) for way in ways],
        *[asked(weights, *own) for weights in (*less, *more, *alone)],
    ]
