"""What the trainings of a search bought: the best so far, and the best of the same number at random."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zerocost.report.frames import RANDOM, SURVIVORS, run_table

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult

_ENOUGH_FOR_TRUST = 8
"""Fewest trainings that ended well of which it is said what they tell about scores."""


def spent_budget(result: SearchResult) -> bool:
    """Whether each round of trainings was chosen by what those before it had taught."""
    return bool(result.expected)


def trainings_in_order(result: SearchResult) -> pd.DataFrame:
    """One row a candidate that a budget was spent on, in order: name, expected mean and std, metric, best so far.

    The metric is the mean over seeds, NaN where training failed. The best so far is that of each of the
    seeds that are compared, and of these the mean. What was chosen and not yet trained has no row.
    """
    runs = run_table(result)
    ours = runs[runs["group"] == SURVIVORS]
    spent = [one for one in result.expected if one.name in set(ours["name"])]
    frame = pd.DataFrame(spent, columns=["name", "mean", "std"]).astype({"mean": float, "std": float})
    by_seed = ours.pivot_table(index="name", columns="seed", values="metric").reindex(frame["name"]).astype(float)
    compared = by_seed[_compared_seeds(result)]
    best = (compared.cummax() if result.task.higher_is_better else compared.cummin()).ffill().mean(axis=1, skipna=False)
    frame = frame.assign(metric=by_seed.mean(axis=1).to_numpy(), best=best.to_numpy())
    return frame.set_axis(np.arange(1, len(frame) + 1))


def known_trust(result: SearchResult) -> dict[str, float]:
    """By how much the expectation rises with the score and each proxy; nothing where too few trainings ended well."""
    enough = trainings_in_order(result)["metric"].count() >= _ENOUGH_FOR_TRUST
    return result.trust if enough else {}


def best_at_random(result: SearchResult) -> pd.Series[float]:
    """The expected best of each number of random picks of one seed, the mean over the seeds that are compared.

    Picks that failed are among them. It goes as far as there are picks of each seed.
    """
    runs = run_table(result)
    picks = runs[runs["group"] == RANDOM]
    bests = [
        expected_best(picks["metric"][picks["seed"] == seed].to_list(), result.task.higher_is_better)
        for seed in _compared_seeds(result)
    ]
    return pd.concat(bests, axis=1).mean(axis=1, skipna=False).dropna() if bests else pd.Series(dtype=float)


def _compared_seeds(result: SearchResult) -> list[int]:
    """The training seeds from which both a survivor and a random pick were trained; without picks those of survivors.

    Each seed draws its own picks, which are single runs, so survivors are compared with them seed by seed.
    """
    finished = run_table(result).dropna(subset=["metric"])
    ours, picks = (set(finished["seed"][finished["group"] == group]) for group in (SURVIVORS, RANDOM))
    return sorted(ours & picks or ours)


def seeds_note(result: SearchResult) -> str:
    """That the best so far and that of random picks are means over several seeds, in words; empty for one seed."""
    count = len(_compared_seeds(result))
    return f", mean over {count} seeds" if count > 1 else ""


def expected_best(values: list[float], higher_is_better: bool) -> pd.Series[float]:
    r"""The mean best of all subsets of 1, 2, … of m values: :math:`\sum_i v_{(i)} \binom{m-i}{n-1} / \binom{m}{n}`.

    NaN is what a failed training gave. It counts among the m, but a subset of nothing else has no best and is left out.

    >>> expected_best([1.0, 2.0, 3.0], True).to_list()
    [2.0, 2.6666666666666665, 3.0]
    >>> expected_best([1.0, math.nan, 3.0], True).to_list()
    [2.0, 2.3333333333333335, 3.0]
    """
    ordered, m = sorted((value for value in values if not math.isnan(value)), reverse=higher_is_better), len(values)
    failed = m - len(ordered)
    means = [
        sum(value * math.comb(m - i, n - 1) for i, value in enumerate(ordered, start=1))
        / (math.comb(m, n) - math.comb(failed, n))
        for n in range(1, m + 1)
        if ordered
    ]
    return pd.Series(means, index=range(1, len(means) + 1), dtype=float)
