"""How much of NAS-Bench-201's true Pareto front under a limit each search strategy finds by proxies alone.

    python bench/fronts.py TRUTH.csv params 4e5 --data npz:IMAGES.npz
    python bench/fronts.py TRUTH.csv raspi4_latency 20 --data npz:IMAGES.npz --hardware HARDWARE.csv

The search has two objectives, the score and the cost, and proposals over the limit are refused. What it ends with, the
architectures that no other one found beats in both, is compared with the front of the whole space in accuracy and
cost: the hypervolume of the former's accuracies and costs, as a share of the latter's. The reference point is the
limit and the median accuracy of the architectures that keep to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import nasbench201_scores as known
import zerocost as zc
from strategies import Fidelity, Images, Kept, Proxies, Seeds, Strategies, Truth, accuracies
from zerocost.base.errors import InputError
from zerocost.combine import as_combination
from zerocost.search.objectives import Objectives
from zerocost.statistics.pareto import fronts, hypervolume

COUNTS = (200, 1000)
STRATEGIES = "random,evolution,local,reinforce,nsga2,tpe"
Numbers = npt.NDArray[np.float64]


def read_costs(name: str, hardware: Path | None) -> pd.Series[float]:
    """Parameters, or a number of the hardware table, of every architecture."""
    if name == "params":
        return known.parameters().rename(name)
    benchmark = zc.benchmarks.get("nasbench201", hardware)
    return benchmark.truth(dataset=benchmark.default.dataset, metric=name, epochs=0)


def points(accuracy: pd.Series[float], cost: pd.Series[float], texts: Sequence[str]) -> Numbers:
    """Accuracy and cost of architectures, more is better."""
    return np.column_stack([accuracy[list(texts)], -cost[list(texts)]])


def true_front(accuracy: pd.Series[float], cost: pd.Series[float], limit: float) -> tuple[Numbers, list[float]]:
    """The front of everything that keeps to the limit, and the reference point."""
    allowed = list(cost.index[cost <= limit])
    whole = points(accuracy, cost, allowed)
    return whole[fronts(whole) == 0], [float(np.median(accuracy[allowed])), -limit]


def hypervolume_ratio(found: npt.ArrayLike, true: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """The hypervolume of the points found as a share of that of the true front: 1 when nothing is missing.

    Raises `InputError` when no true point is better than the reference in every objective.

    >>> hypervolume_ratio([[1, 3]], true=[[1, 3], [2, 1]], reference=[0, 0])
    0.75
    """
    whole = hypervolume(true, reference)
    if not whole > 0:
        raise InputError("no point of the true front is better than the reference in every objective; lower it")
    return hypervolume(found, reference) / whole


def hypervolume_ratios(
    strategy: str,
    scores: pd.DataFrame,
    accuracy: pd.Series[float],
    cost: pd.Series[float],
    limit: float,
    counts: Sequence[int],
    seed: int,
) -> list[float]:
    """The hypervolume ratio after each of the counts of architectures scored."""
    name = str(cost.name)
    wanted = Objectives(("score", name), as_combination(dict.fromkeys(map(str, scores), 1.0)))
    numbers = scores.assign(**{name: cost})
    order = known.search_order(
        strategy,
        numbers,
        wanted,
        candidates=max(counts),
        seed=seed,
        limit=lambda arch: None if cost[str(arch)] <= limit else "over the limit",
    )
    true, reference = true_front(accuracy, cost, limit)
    found = [wanted.front(numbers.loc[order[:count]]) for count in counts]
    return [hypervolume_ratio(points(accuracy, cost, texts), true, reference) for texts in found]


def main(
    truth: Truth,
    cost: Annotated[str, typer.Argument(help="params, or a column of the hardware table.")],
    limit: Annotated[float, typer.Argument(help="The highest cost allowed.")],
    data: Images,
    hardware: Annotated[Path | None, typer.Option(help="Latencies and energies, a CSV file.")] = None,
    proxies: Proxies = "jacob_cov,log_synflow",
    strategies: Strategies = STRATEGIES,
    most: Annotated[int, typer.Option(min=200, help="Architectures to score.")] = 1000,
    seeds: Seeds = 20,
    store: Kept = Path("strategies.db"),
    fidelity: Fidelity = known.SMALL,
) -> None:
    """The share of the true front's hypervolume that the found front has after each number of scores."""
    accuracy, numbers = accuracies(truth)["mean"], read_costs(cost, hardware)
    alone = known.score_all(known.distinct(), data, store, proxies=proxies.split(","), fidelity=fidelity)
    scores = known.for_twins(alone)
    counts = [count for count in COUNTS if count <= most]
    shown = Table("strategy", *[f"{count:,} scored" for count in counts])
    for strategy in strategies.split(","):
        searches = track(range(seeds), strategy, console=Console(stderr=True))
        found = [hypervolume_ratios(strategy, scores, accuracy, numbers, limit, counts, seed) for seed in searches]
        shown.add_row(strategy, *[known.mean_with_interval(column, 3) for column in zip(*found, strict=True)])
    Console(width=150).print(shown)
    allowed = scores.loc[numbers.index[numbers <= limit]].assign(**{cost: numbers})
    best = Objectives(("score", cost), as_combination(dict.fromkeys(map(str, scores), 1.0))).front(allowed)
    true, reference = true_front(accuracy, numbers, limit)
    share = hypervolume_ratio(points(accuracy, numbers, best), true, reference)
    print(f"all {len(allowed):,} with {cost} <= {limit:g}: {share:.3f} by a front of {len(best)}; the true one has")
    print(f"{len(true)}, from {true[:, 0].min():.2f} to {true[:, 0].max():.2f} %; the reference is {reference}")


if __name__ == "__main__":
    typer.run(main)
