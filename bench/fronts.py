"""How much of NAS-Bench-201's true Pareto front under a limit is found by proxies alone, and with a few trainings.

    python bench/fronts.py TRUTH.csv params 4e5 --data npz:IMAGES.npz
    python bench/fronts.py TRUTH.csv raspi4_latency 20 --data npz:IMAGES.npz --hardware HARDWARE.csv
    python bench/fronts.py TRUTH.csv params 4e5 --data npz:IMAGES.npz --strategies random,evolution --trainings 20

The search has two objectives, the score and the cost, and proposals over the limit are refused. What it ends with, the
architectures that no other one found beats in both, is compared with the front of the whole space in accuracy and
cost: the hypervolume of the former's accuracies and costs, as a share of the latter's. The reference point is the
limit and the median accuracy of the architectures that keep to it.

With `--trainings`, some of what was scored is then "trained" by looking up the accuracy of one training, and the front
is that of the trained ones by this accuracy and the cost. `by score`: first the front by score, then the next one, and
so on. `learning`: the loop of `search(…, trainings=…)`, which looks for the best accuracy under the limit. `learning,
for the front`: two at a time, each the one whose expected accuracy plus half a standard deviation adds most to the
hypervolume of what was trained. A second row of each way has the front of everything that was scored by what is then
expected of it.
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
from zerocost.predict import Features, learn, next_for_front
from zerocost.search.objectives import Objectives
from zerocost.statistics.pareto import fronts, hypervolume

COUNTS = (200, 1000)
PARTS = ("proxies", "encoding", "counts")
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


def proposed(
    strategy: str, scores: pd.DataFrame, cost: pd.Series[float], limit: float, candidates: int, seed: int
) -> tuple[Objectives, pd.DataFrame, list[str]]:
    """The objectives, the numbers of all architectures, and what a search scores, in order."""
    name = str(cost.name)
    wanted = Objectives(("score", name), as_combination(dict.fromkeys(map(str, scores), 1.0)))
    numbers = scores.assign(**{name: cost})
    order = known.search_order(
        strategy,
        numbers,
        wanted,
        candidates=candidates,
        seed=seed,
        limit=lambda arch: None if cost[str(arch)] <= limit else "over the limit",
    )
    return wanted, numbers, order


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
    wanted, numbers, order = proposed(strategy, scores, cost, limit, max(counts), seed)
    true, reference = true_front(accuracy, cost, limit)
    found = [wanted.front(numbers.loc[order[:count]]) for count in counts]
    return [hypervolume_ratio(points(accuracy, cost, texts), true, reference) for texts in found]


def train_by_score(scored: list[str], wanted: Objectives, numbers: pd.DataFrame, trainings: int) -> list[str]:
    """What is trained, in order: front by front, and the least crowded first within a front."""
    return list(wanted.fitness(numbers.loc[scored]).sort_values(ascending=False, kind="stable").index[:trainings])


def train_by_learning(
    table: pd.DataFrame, score: pd.Series[float], reached: pd.Series[float], cost: pd.Series[float] | None, budget: int
) -> list[str]:
    """What is trained, in order: 5, and then 2 at a time.

    Args:
        table: the features of what was scored.
        score: its score.
        reached: what training gives.
        cost: its cost, where the hypervolume is what counts; else the expected accuracy is.
        budget: how many are trained.
    """
    order: list[str] = []
    while len(order) < budget:
        belief, count = learn(table, score, reached[order]), min(2 if order else 5, budget - len(order))
        others = None if cost is None else -cost[table.index].to_frame()
        order += belief.next(count) if others is None else next_for_front(belief, others, count)
    return order


def ratios_by_training(
    scored: list[str], numbers: pd.DataFrame, wanted: Objectives, truth: pd.DataFrame, limit: float, trainings: int
) -> dict[str, float]:
    """The hypervolume ratio of the front of what each way trains, by the way.

    A training gives the accuracy `first` of the truth; the front is judged by `mean`.
    """
    cost, reached = numbers[wanted.names[1]], truth["first"]
    score = wanted.combination(numbers.loc[scored]) if wanted.combination else numbers.loc[scored, wanted.names[0]]
    table = Features(known.SPACE, PARTS).fit_transform(numbers.loc[scored])
    ways = {
        "by score": train_by_score(scored, wanted, numbers, trainings),
        "learning": train_by_learning(table, score, reached, None, trainings),
        "learning, for the front": train_by_learning(table, score, reached, cost, trainings),
    }
    true, reference = true_front(truth["mean"], cost, limit)
    found = {}
    for way, order in ways.items():
        expected = learn(table, score, reached[order]).mean
        for kind, names, values in (("trained", order, reached), ("expected", scored, expected)):
            seen = points(values, cost, names)
            front = [names[i] for i in np.flatnonzero(fronts(seen) == 0)]
            found[f"{way}: {kind}"] = hypervolume_ratio(points(truth["mean"], cost, front), true, reference)
    return found


def main(
    truth: Truth,
    cost: Annotated[str, typer.Argument(help="params, or a column of the hardware table.")],
    limit: Annotated[float, typer.Argument(help="The highest cost allowed.")],
    data: Images,
    hardware: Annotated[Path | None, typer.Option(help="Latencies and energies, a CSV file.")] = None,
    proxies: Proxies = "jacob_cov,log_synflow",
    strategies: Strategies = STRATEGIES,
    most: Annotated[int, typer.Option(min=200, help="Architectures to score.")] = 1000,
    trainings: Annotated[str, typer.Option(help="Numbers of trainings, separated by commas; none: scores alone.")] = "",
    seeds: Seeds = 20,
    store: Kept = Path("strategies.db"),
    fidelity: Fidelity = known.SMALL,
) -> None:
    """The share of the true front's hypervolume that the found front has after each number of scores or trainings."""
    table, numbers = accuracies(truth), read_costs(cost, hardware)
    keys = set(map(known.key, numbers.index[numbers <= limit]))
    chosen = [text for text in known.distinct() if known.key(text) in keys]
    alone = known.score_all(chosen, data, store, proxies=proxies.split(","), fidelity=fidelity)
    scores = known.for_twins(alone)
    counts = [count for count in COUNTS if count <= most]
    budgets = [int(budget) for budget in trainings.split(",") if budget]
    columns = [f"{budget:,} trained" for budget in budgets] or [f"{count:,} scored" for count in counts]
    shown = Table("strategy", *columns)
    for strategy in strategies.split(","):
        found: dict[str, list[list[float]]] = {}
        for seed in track(range(seeds), strategy, console=Console(stderr=True)):
            if not budgets:
                ratios = hypervolume_ratios(strategy, scores, table["mean"], numbers, limit, counts, seed)
                found.setdefault(strategy, []).append(ratios)
                continue
            wanted, everything, order = proposed(strategy, scores, numbers, limit, most, seed)
            each = [ratios_by_training(order, everything, wanted, table, limit, budget) for budget in budgets]
            for way in each[0]:
                found.setdefault(f"{strategy}, {way}", []).append([ratios[way] for ratios in each])
        for way, rows in found.items():
            shown.add_row(way, *[known.mean_with_interval(column, 3) for column in zip(*rows, strict=True)])
    Console(width=150).print(shown)
    allowed = scores.loc[numbers.index[numbers <= limit]].assign(**{cost: numbers})
    best = Objectives(("score", cost), as_combination(dict.fromkeys(map(str, scores), 1.0))).front(allowed)
    true, reference = true_front(table["mean"], numbers, limit)
    share = hypervolume_ratio(points(table["mean"], numbers, best), true, reference)
    print(f"all {len(allowed):,} with {cost} <= {limit:g}: {share:.3f} by a front of {len(best)}; the true one has")
    print(f"{len(true)}, from {true[:, 0].min():.2f} to {true[:, 0].max():.2f} %; the reference is {reference}")


if __name__ == "__main__":
    typer.run(main)
