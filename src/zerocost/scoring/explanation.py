"""Explains a ranking: what each proxy adds, how the order is without it, and how much of it is only size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from zerocost.base.errors import InputError
from zerocost.base.format import fixed
from zerocost.base.whole import is_whole
from zerocost.combine.combination import Combination
from zerocost.combine.ranks import weight_signs
from zerocost.statistics import ranking as statistics

_SIZES = ("params", "flops", "depth")
_SCORE = "score"
_TOP_SHARE = 0.1
"""Share of the candidates that count as the top by default."""
FEWEST = 3
"""Fewest candidates for a correlation."""
_DECIMALS = 10
"""Decimals of a score that count; sums in another order differ beyond them."""


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why the candidates of a table are ranked as they are by a combination of proxies.

    Places count from 1, the best; candidates of equal score share the best of their places. What is not defined is
    NaN: all of a candidate whose score failed, a correlation of fewer than three or with a constant column.

    Attributes:
        combination: what is explained.
        score: its value of each candidate, in the order of the table; −∞ without any score.
        place: the place of each candidate by that score.
        moved: candidates by proxies, in the unit of the score: what a proxy adds to a candidate, less what it adds on
            average. Positive: moved up. Where no score failed a row sums to the candidate's score less the mean score.
            All NaN for a vote, which is no sum.
        climbed: candidates by proxies: the places a candidate would lose without the proxy; negative: it would win.
        proxies: one row a proxy: its `weight`; `tau_without`, Kendall's τ of the ranking with that without it;
            `replaced`, how many of the `top` would then be others; `spearman` with the score; `beyond_size`, the same
            with params taken out of both; `closest`, the proxy its order is most like, and `redundancy`, Spearman's ρ
            of the two. Proxies of negative weight count turned round, as they are ranked.
        sizes: "score" and each proxy, by the sizes in the table (params, flops, depth): Spearman's ρ. Its square is
            the share of the order that a straight line on the ranks by size explains.
        sizeless: the place of each candidate with params taken out: by what its rank has beyond that line.
        top: how many candidates are the top.
        follows: whether the order of the table is that of this score. It is not for other or several objectives, nor
            among the rows that `select` kept, which are too few to rank among.
    """

    combination: Combination
    score: pd.Series[float]
    place: pd.Series[float]
    moved: pd.DataFrame
    climbed: pd.DataFrame
    proxies: pd.DataFrame
    sizes: pd.DataFrame
    sizeless: pd.Series[float]
    top: int
    follows: bool

    def __repr__(self) -> str:
        return f"{self.proxies.round(3).to_string()}\n{self.about_size()}"

    @property
    def rises(self) -> pd.Series[float]:
        """The places each candidate wins when size is taken out, most first, of those that are then in the top."""
        won = (self.place - self.sizeless)[self.sizeless <= self.top]
        return won[won > 0].sort_values(ascending=False, kind="stable")

    @property
    def falls(self) -> pd.Series[float]:
        """The places each candidate loses when size is taken out, most first, of those that are now in the top."""
        lost = (self.sizeless - self.place)[self.place <= self.top]
        return lost[lost > 0].sort_values(ascending=False, kind="stable")

    def about_size(self, write: Callable[[str], str] = str) -> str:
        """How much of the order is only size, in words.

        Args:
            write: formats the name of a candidate.
        """
        rho = float(self.sizes["params"][_SCORE]) if "params" in self.sizes else math.nan
        if math.isnan(rho):
            return (
                "How much of the score is only size cannot be told: it takes three candidates that differ in both, "
                "the score and the number of parameters."
            )
        share = math.floor(100 * rho**2 + 1e-9) if rho**2 > 0.99 else round(100 * rho**2)
        aside = ", the smaller the better" if rho < 0 and share else ""
        text = f"{share} % of the score’s order is explained by params alone (Spearman {fixed(rho)}{aside})."
        if self.sizeless.isna().all():
            return f"{text} Nothing is left without size."
        parts = [
            f"{write(str(moves.index[0]))} {verb} from {self.place[name]:.0f} to {self.sizeless[name]:.0f}"
            for verb, moves in (("rises", self.rises), ("falls", self.falls))
            if len(moves)
            for name in moves.index[:1]
        ]
        stay = f"the top {self.top} stay where they are or trade places with each other only"
        rest = " and ".join(parts) or ("the best stays where it is" if self.top == 1 else stay)
        return f"{text} Without size, {rest}."


def explain_ranking(frame: pd.DataFrame, combination: Combination, *, top: int | None = None) -> Explanation:
    """Explain why candidates are ranked as they are.

    Args:
        frame: the scores and the `rank_score` of a table. Without a reference, ranks are among its rows, so give the
            whole table, not the rows that `select` kept.
        combination: what to explain.
        top: number of candidates that count as the top; a tenth of them if None.

    Raises:
        InputError: the table lacks a proxy of the combination, or `top` is below 1.

    >>> scores = pd.DataFrame({"snip": [3.0, 2.0, 1.0], "params": [30.0, 20.0, 10.0]}, index=["a", "b", "c"])
    >>> snip = Combination({"snip": 1.0})
    >>> why = explain_ranking(scores.assign(rank_score=snip(scores)), snip)
    >>> why.moved.snip.round(2).to_dict()
    {'a': 0.5, 'b': 0.1, 'c': -0.6}
    >>> why.about_size()
    '100 % of the score’s order is explained by params alone (Spearman 1.00). Nothing is left without size.'
    """
    if top is not None and not is_whole(top):
        raise InputError(f"top must be a whole number from 1, but got {top!r}")
    frame = frame.astype(float)
    score = combination(frame)
    known = score.where(score > -np.inf).round(_DECIMALS)
    place, ranked = _places(known), _places(frame["rank_score"].replace(-np.inf, np.nan).round(_DECIMALS))
    count = min(top or max(math.ceil(_TOP_SHARE * len(frame)), 1), len(frame))
    without = pd.DataFrame(
        {name: _score_without(combination, name, frame) for name in combination.proxies}, index=frame.index, dtype=float
    )
    turned = frame[combination.proxies] * weight_signs(frame[combination.proxies], combination.weights)
    given = [name for name in _SIZES if name in frame]
    columns = {_SCORE: known, **{str(name): turned[name] for name in turned}}
    rows = {name: [_correlate(statistics.spearman, c, frame[size]) for size in given] for name, c in columns.items()}
    return Explanation(
        combination=combination,
        score=score,
        place=place,
        moved=_centred_terms(combination, frame),
        climbed=without.apply(_places).sub(place, axis="index"),
        proxies=_proxy_rows(combination, known, turned, without, frame.get("params"), count),
        sizes=pd.DataFrame.from_dict(rows, orient="index", columns=given, dtype=float),
        sizeless=_places(rank_beyond_size(known, frame["params"])) if "params" in frame else place * np.nan,
        top=count,
        follows=place.equals(ranked),
    )


def _places(values: pd.Series[float]) -> pd.Series[float]:
    """The place of each value, 1 for the highest, equal ones sharing the best of theirs; NaN for NaN."""
    return values.rank(ascending=False, method="min")


def _score_without(combination: Combination, name: str, frame: pd.DataFrame) -> pd.Series[float]:
    """The score without a proxy; NaN for a candidate without any other score, and where there is no other proxy."""
    weights = {other: combination.weights[other] for other in combination.proxies if other != name}
    if not weights:
        return pd.Series(np.nan, index=frame.index)
    return replace(combination, weights=weights)(frame).replace(-np.inf, np.nan).round(_DECIMALS)


def _centred_terms(combination: Combination, frame: pd.DataFrame) -> pd.DataFrame:
    """What each proxy adds to each candidate, less its average; NaN for a vote."""
    if combination.method == "vote":
        return pd.DataFrame(np.nan, index=frame.index, columns=combination.proxies)
    terms = combination.terms(frame)[combination.proxies]
    return terms - terms.mean()


def _proxy_rows(
    combination: Combination,
    score: pd.Series[float],
    turned: pd.DataFrame,
    without: pd.DataFrame,
    params: pd.Series[float] | None,
    top: int,
) -> pd.DataFrame:
    """The rows of `Explanation.proxies`."""
    alike = turned.corr(method="spearman", min_periods=FEWEST)
    best = set(_top_names(score, top))
    rows = {}
    for name in turned:
        others = alike[name].drop(name).dropna()
        only_proxy = without[name].isna().all()
        rows[name] = {
            "weight": float(combination.weights[str(name)]),
            "tau_without": _correlate(statistics.kendall, score, without[name]),
            "replaced": math.nan if only_proxy else float(len(best - set(_top_names(without[name], top)))),
            "spearman": _correlate(statistics.spearman, turned[name], score),
            "beyond_size": math.nan
            if params is None
            else _correlate(statistics.partial_spearman, turned[name], score, params),
            "closest": str(others.idxmax()) if len(others) else "",
            "redundancy": float(others.max()) if len(others) else math.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _top_names(values: pd.Series[float], top: int) -> pd.Index[str]:
    """The names of the highest values; of equal ones, the first."""
    return values.dropna().sort_values(ascending=False, kind="stable").index[:top]


def _correlate(statistic: Callable[..., statistics.Values], *columns: pd.Series[float]) -> float:
    """A statistic over the candidates that have a number in every column; NaN for fewer than three."""
    numbers = np.stack([column.to_numpy(np.float64) for column in columns])
    complete = numbers[:, np.isfinite(numbers).all(axis=0)]
    return float(statistic(*complete)) if complete.shape[1] >= FEWEST else math.nan


def rank_beyond_size(score: pd.Series[float], size: pd.Series[float]) -> pd.Series[float]:
    """The residual of the rank by score from a straight line on the rank by size; NaN where nothing is left.

    >>> rank_beyond_size(pd.Series([1.0, 2.0, 3.0, 4.0]), pd.Series([1.0, 1.0, 2.0, 2.0])).tolist()
    [-0.5, 0.5, -0.5, 0.5]
    """
    both = score.notna() & size.notna()
    ranks, sizes = score[both].rank(), size[both].rank()
    rho = _correlate(statistics.spearman, score, size)
    if math.isnan(rho) or 1 - rho**2 < statistics.TINY:
        return score * np.nan
    slope = rho * ranks.std() / sizes.std()
    rest = (ranks - ranks.mean()) - slope * (sizes - sizes.mean())
    return rest.round(_DECIMALS).reindex(score.index)
