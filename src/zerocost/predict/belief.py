"""Learn from a few trained candidates what to expect of all others, and which to train next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from zerocost.base.errors import InputError, unknown
from zerocost.base.whole import check_whole
from zerocost.predict.process import Part, Process, Values, fit_process

_WEIGHTS = {"rank": 0.5, "encoding": 0.6, "count": 0.25}
"""How much each kind of feature is expected to explain of what the score does not."""
_BEST_QUANTILE = 0.95
"""The quantile that the best score stands for: the order of the very best says little."""


@dataclass(frozen=True)
class Belief:
    """What the trained candidates say about all of them; made by `learn`.

    Attributes:
        mean: the expected accuracy of each candidate.
        std: the standard deviation of what training it would give, by what is known of the level, the unit and the rise
            with the score.
        trained: the accuracies that were learnt from, NaN where a training failed.
        trust: by how much the expectation rises with one standard deviation of the score, and of each proxy's rank
            beyond that.
    """

    mean: pd.Series[float]
    std: pd.Series[float]
    trained: pd.Series[float]
    trust: pd.Series[float]
    _process: Process = field(repr=False)

    @property
    def hoped(self) -> pd.Series[float]:
        """The expectation plus half a standard deviation, as if level, unit and the rise with the score were known."""
        process = self._process
        return self.mean + np.sqrt(process.variance + process.unknowns.noise) * process.unknowns.unit / 2

    @property
    def best(self) -> str:
        """The trained candidate of the highest expectation, so that the luck of one training counts less.

        Raises:
            InputError: no training has succeeded.
        """
        known = self.trained.dropna()
        if known.empty:
            raise InputError(f"there is no best: none of {len(self.trained)} trainings succeeded")
        return str(self.mean[known.index].idxmax())

    def next(self, k: int = 1) -> list[str]:
        """The `k` candidates to train next, as many as are left, best first.

        Each has the highest expectation plus one standard deviation. The deviation is what is left of it once those
        chosen before are known, so that a batch is no set of near-twins.
        """
        check_whole("k", k)
        process, left = self._process, ~self.mean.index.isin(self.trained.index)
        explained, variance = process.explained, process.variance
        chosen: list[int] = []
        for _ in range(min(k, int(left.sum()))):
            worth = process.mean + np.sqrt(np.maximum(variance, 0.0))
            chosen.append(int(np.argmax(np.where(left, worth, -np.inf))))
            left[chosen[-1]] = False
            more = process.explained_by(chosen[-1], explained)
            explained, variance = np.vstack([explained, more]), variance - more**2
        return [str(self.mean.index[place]) for place in chosen]


def learn(
    features: pd.DataFrame,
    score: pd.Series[float],
    trained: Mapping[str, float] | pd.Series[float],
    noise: float | Mapping[str, float] | pd.Series[float] = 0.0,
) -> Belief:
    r"""What a few trained candidates say about all of them, by a Gaussian process whose mean is the score.

    .. math:: y = m + \sigma\,\Bigl(r z + \sum_k \sqrt{w_k}\, g_k + \sqrt{\nu}\,\epsilon\Bigr), \qquad
        g_k \sim \mathcal{GP}(0, \kappa_k)

    :math:`z` is the score's normal quantile among the candidates. The kernels :math:`\kappa_k` compare the ranks by
    each proxy, the counts of operations (both linear) and encodings (Gaussian). The level :math:`m` is integrated out.
    The slope :math:`r`, the weights :math:`w_k`, the noise :math:`\nu` and the unit :math:`\sigma` are means over a
    grid, weighted by the likelihood of the accuracies, so that the score is left only as far as these say. Before two
    accuracies differ, they are the means of the grid, and the unit is 1, so that only the order says something.
    Features `failed:…` are left out: a rare failure is no reason to train.

    A failed training counts as the lowest of the other accuracies, or as one less where these do not differ. The result
    depends on the arguments alone: after a break, a loop goes on from the accuracies it has.

    Args:
        features: one row a candidate, as from `Features(space, ("proxies", "encoding", "counts"))`.
        score: the score of each candidate, higher is better; NaN and −∞ are the lowest.
        trained: the accuracy of each trained candidate, NaN where the training failed; higher is better.
        noise: the standard deviation of an accuracy over training seeds, if known; one number, or one for each trained
            candidate.

    Raises:
        InputError: features of an unknown kind, names that are no text, a candidate that is there twice or has no
            score, a trained one that is no candidate, or noise that is no number, negative or missing.

    >>> names = [f"net{i}" for i in range(50)]
    >>> width, depth = np.arange(50) % 10, np.arange(50) // 10
    >>> features = pd.DataFrame({"count:width": width, "count:depth": depth}, index=names)
    >>> score, accuracy = pd.Series(width + depth, names), pd.Series(60.0 + 2 * depth - width, names)
    >>> trained: dict[str, float] = {}
    >>> for _ in range(4):
    ...     belief = learn(features, score, trained)
    ...     trained |= accuracy[belief.next(3)].to_dict()
    >>> belief.best, accuracy.idxmax()
    ('net40', 'net40')
    """
    _check_kinds(features, score)
    known = _as_series("trained", trained).replace([np.inf, -np.inf], np.nan)
    _check(features, score, known)
    targets: Values = np.array(known, np.float64)
    failed = np.isnan(targets)
    targets[failed] = _of_failures(targets[~failed])
    parts = _parts(features)
    scores = np.asarray(score.loc[features.index].fillna(-np.inf), np.float64)
    quantiles = _normal_quantiles(scores[:, None], _BEST_QUANTILE)[:, 0]
    process = fit_process(
        list(parts.values()),
        quantiles,
        features.index.get_indexer(known.index),
        targets,
        _noises(noise, known),
    )
    unit, index = process.unknowns.unit, features.index
    trust = pd.Series({"score": process.unknowns.slope * unit})
    if "rank" in parts:
        names = [str(name)[len("rank:") :] for name in features if str(name).startswith("rank:")]
        trust = pd.concat([trust, pd.Series(process.slopes(list(parts).index("rank")) * unit, names)])
    return Belief(
        mean=pd.Series(process.mean * unit, index),
        std=pd.Series(np.sqrt(process.spread) * unit, index),
        trained=known,
        trust=trust,
        _process=process,
    )


def _of_failures(accuracies: Values) -> float:
    """What a failed training counts as, given the accuracies of the others."""
    if not len(accuracies):
        return 0.0
    return float(accuracies.min()) - float(np.ptp(accuracies) == 0)


def _parts(features: pd.DataFrame) -> dict[str, Part]:
    """The parts of the covariance, by kind of feature."""
    kinds = np.array([str(name).partition(":")[0] for name in features])
    parts: dict[str, Part] = {}
    for kind in dict.fromkeys(kinds[kinds != "failed"].tolist()):
        if kind not in _WEIGHTS:
            raise unknown("kind of feature", kind, _WEIGHTS)
        values, radial = features.loc[:, kinds == kind].to_numpy(np.float64), kind == "encoding"
        values = _normal_quantiles(values, 1.0) if kind == "rank" else values
        values = values - values.mean(0)
        if not radial:
            deviation = values.std(0)
            values = np.where(deviation > 1e-9, values / np.where(deviation > 1e-9, deviation, 1.0), 0.0)
        size = float((values**2).sum(1).mean()) * (2 if radial else 1)
        parts[kind] = Part(values / np.sqrt(size or 1.0), _WEIGHTS[kind], radial)
    return parts


def _normal_quantiles(values: Values, best: float) -> Values:
    """The normal quantile of each value's rank in its column, when that of the last rank is `best`."""
    places = (rankdata(values, axis=0) - 0.5) / len(values)
    return np.asarray(norm.ppf(places * best))


def _noises(noise: float | Mapping[str, float] | pd.Series[float], known: pd.Series[float]) -> Values:
    """The standard deviation of each accuracy."""
    if isinstance(noise, Mapping | pd.Series):
        noise = _as_series("noise", noise)
        missing = [name for name in known.index if name not in noise]
        if missing:
            raise InputError(f"noise has no value for {len(missing)} trained candidates, such as {missing[0]!r}")
        values = np.array([noise[name] for name in known.index], np.float64)
    else:
        values = np.full(len(known), noise if isinstance(noise, int | float | np.number) else np.nan, np.float64)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise InputError("noise must be a standard deviation of at least 0 for each trained candidate")
    return values


def _as_series(what: str, values: Mapping[str, float] | pd.Series[float]) -> pd.Series[float]:
    """Numbers by candidate; `InputError` for anything else."""
    try:
        return pd.Series(dict(values), dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be a number for each candidate, by its name, but got {values!r}") from None


def _check_kinds(features: pd.DataFrame, score: pd.Series[float]) -> None:
    """`InputError` for anything but a frame and a series of candidates by name."""
    if not isinstance(features, pd.DataFrame):
        raise InputError(f"features must be a DataFrame, a row a candidate, but got {type(features).__name__}")
    if not isinstance(score, pd.Series):
        raise InputError(f"score must be a Series, a number a candidate, but got {type(score).__name__}")
    for name in features.index:
        if not isinstance(name, str):
            raise InputError(f"candidates must be named by text, but got {name!r}; use frame.index.astype(str)")


def _check(features: pd.DataFrame, score: pd.Series[float], known: pd.Series[float]) -> None:
    """`InputError` for candidates, scores or accuracies that cannot be used."""
    if features.empty or all(str(name).startswith("failed:") for name in features):
        raise InputError("there is nothing to learn from: features must have a row and a column that is no failed:…")
    if not np.isfinite(features.to_numpy(np.float64)).all():
        raise InputError("features must be finite numbers; Features fills in those of failed scores")
    for what, index in (("features", features.index), ("score", score.index)):
        if not index.is_unique:
            raise InputError(f"{what} has candidate {index[index.duplicated()][0]!r} twice; keep one")
    for what, names, among in (
        ("has no score", features.index, score.index),
        ("was trained but is no candidate", known.index, features.index),
    ):
        missing = names.difference(among)
        if len(missing):
            raise InputError(f"{missing[0]!r} {what}; give all candidates one score and one row of features")
