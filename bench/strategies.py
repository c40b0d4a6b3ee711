"""What each search strategy finds in NAS-Bench-201, by proxies alone and with a few looked-up accuracies.

    python bench/strategies.py combinations TRUTH.csv --data npz:IMAGES.npz
    python bench/strategies.py proxies TRUTH.csv --data npz:IMAGES.npz
    python bench/strategies.py lookups TRUTH.csv --data npz:IMAGES.npz

TRUTH.csv has a column `arch` and the test accuracies `test_accuracy_mean` and `test_accuracy_seeds`. All 6,466 distinct
architectures are scored once, at a reduced fidelity, and kept (`--store`); then every strategy searches with many
seeds. Intervals are over the searches, which draw other architectures but see the same scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations as choose
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import nasbench201_scores as known
import zerocost as zc
from zerocost.combine import as_combination, log_rank
from zerocost.search.objectives import Objectives

GUIDED = ("random", "evolution", "local", "reinforce")
COUNTS = (50, 100, 200, 400, 1000)
LOOKUPS = (1, 5, 10, 20, 50, 100, 200)

app = typer.Typer(add_completion=False)
Truth = Annotated[Path, typer.Argument(help="Test accuracies of NAS-Bench-201, a CSV file.")]
Images = Annotated[str, typer.Option(help="CIFAR-10 images: npz:PATH or cifar10:PATH.")]
Kept = Annotated[Path, typer.Option(help="Where scores are kept.")]
Fidelity = Annotated[str, typer.Option(help="The fidelity to score at.")]
Seeds = Annotated[int, typer.Option(min=2, help="Searches of each strategy.")]
Strategies = Annotated[str, typer.Option(help="Which strategies, separated by commas.")]
Proxies = Annotated[str, typer.Option(help="The proxies whose log-rank sum is the score.")]


def accuracies(truth: Path) -> pd.DataFrame:
    """The mean over the trainings of each architecture, and the accuracy of its first one."""
    benchmark = zc.benchmarks.get("nasbench201", truth)
    query = benchmark.default._asdict()
    return pd.DataFrame({"mean": benchmark.truth(**query), "first": benchmark.truth(**query | {"seed": 0})})


def best_of(scores: pd.DataFrame) -> str:
    """The architecture of the highest log-rank sum."""
    return str(log_rank(scores).idxmax())


def compare_combinations(scores: pd.DataFrame, accuracy: pd.Series[float], pool: int, draws: int) -> pd.DataFrame:
    """For each combination of up to three proxies the mean accuracy of the best of random pools.

    Column `half` is of the first half of the architectures, by which combinations are sorted, `other` of the second.
    """
    halves = {"half": scores.index[::2], "other": scores.index[1::2]}
    names = [name for count in (1, 2, 3) for name in choose(scores.columns, count)]
    rows: dict[str, dict[str, float]] = {", ".join(name): {} for name in names}
    for column, half in halves.items():
        rng = np.random.default_rng(0)
        pools = [rng.choice(half, min(pool, len(half) // 2), replace=False) for _ in range(draws)]
        for name in names:
            found = [accuracy[best_of(scores.loc[one, list(name)])] for one in pools]
            rows[", ".join(name)][column] = float(np.mean(found))
    return pd.DataFrame.from_dict(rows, orient="index").sort_values("half", ascending=False)


def best_after(
    order: Sequence[str],
    numbers: pd.DataFrame,
    objectives: Objectives,
    accuracy: pd.Series[float],
    counts: Iterable[int],
) -> list[float]:
    """The accuracy of the best among the first architectures that a search measured, for each of the counts."""
    return [float(accuracy[objectives.fitness(numbers.loc[list(order[:count])]).idxmax()]) for count in counts]


def by_proxies(
    strategy: str, scores: pd.DataFrame, accuracy: pd.Series[float], counts: Sequence[int], seed: int, data: str
) -> list[float]:
    """The accuracy of the architecture of best score after each of the counts of scores."""
    wanted = Objectives(("score",), as_combination(dict.fromkeys(map(str, scores), 1.0)))
    order = known.search_order(strategy, scores, wanted, candidates=max(counts), seed=seed, data=data)
    return best_after(order, scores, wanted, accuracy, counts)


def by_lookups(
    strategy: str,
    scores: pd.DataFrame,
    looked_up: pd.Series[float],
    accuracy: pd.Series[float],
    counts: Sequence[int],
    seed: int,
    data: str,
    *,
    warmup: int = 0,
    moves: int = 1,
    reference: int = 64,
) -> tuple[list[float], int]:
    """The accuracy of the best look-up after each of the counts of look-ups, and how many architectures were scored."""
    wanted = Objectives(("accuracy",))
    numbers = looked_up.to_frame("accuracy")
    options: dict[str, Any] = {}
    scored: set[str] = set()
    if warmup or moves > 1:
        guide, scored = known.guide(scores, seed, reference)
        options = {"guide": guide, "warmup": warmup, "moves": moves}
    order = known.search_order(strategy, numbers, wanted, candidates=max(counts), seed=seed, data=data, **options)
    return best_after(order, numbers, wanted, accuracy, counts), len(scored)


@app.command()
def combinations(
    truth: Truth,
    data: Images,
    store: Kept = Path("strategies.db"),
    fidelity: Fidelity = known.SMALL,
    n: Annotated[int, typer.Option(min=40, help="Architectures, drawn at random.")] = 3000,
    pool: Annotated[int, typer.Option(min=10, help="Architectures in a pool.")] = 1000,
    draws: Annotated[int, typer.Option(min=2, help="Pools of each half.")] = 60,
) -> None:
    """Mean accuracy of the best by each combination of proxies in random pools of one half, and of the other half."""
    accuracy = accuracies(truth)["mean"]
    chosen = known.distinct()[:n]
    scores = known.score_all(chosen, data, store, proxies=["jacob_cov", "log_synflow", "meco"], fidelity=fidelity)
    scores["params"] = known.parameters()
    shown = Table("proxies", "first half", "other half", "best of all", "best of the first 20", "Kendall")
    for name, row in compare_combinations(scores, accuracy, pool, draws).iterrows():
        part = scores[str(name).split(", ")]
        ranked = accuracy[log_rank(part).sort_values(ascending=False, kind="stable").index]
        tau = log_rank(part).corr(accuracy[scores.index], method="kendall")
        cells = [row["half"], row["other"], ranked.iloc[0], ranked.iloc[:20].max()]
        shown.add_row(str(name), *[f"{cell:.2f}" for cell in cells], f"{tau:.3f}")
    Console().print(shown)
    best = accuracy[scores.index].max()
    print(f"{n:,} architectures, {draws} pools of {min(pool, n // 4):,} in each half; the best of them has {best:.2f}")


@app.command()
def proxies(
    truth: Truth,
    data: Images,
    proxies: Proxies = "jacob_cov,log_synflow",
    strategies: Strategies = known.STRATEGIES,
    seeds: Seeds = 20,
    most: Annotated[int, typer.Option(min=50, help="Architectures to score.")] = 1000,
    store: Kept = Path("strategies.db"),
    fidelity: Fidelity = known.SMALL,
) -> None:
    """Mean test accuracy of the architecture ranked best after each number of scores."""
    accuracy = accuracies(truth)["mean"]
    scores = known.score_all(known.distinct(), data, store, proxies=proxies.split(","), fidelity=fidelity)
    counts = [count for count in COUNTS if count <= most]
    shown = Table("strategy", *[f"{count:,} scored" for count in counts])
    whole = best_of(scores)
    scores = known.for_twins(scores)
    for strategy in strategies.split(","):
        searches = track(range(seeds), strategy, console=Console(stderr=True))
        found = [by_proxies(strategy, scores, accuracy, counts, seed, data) for seed in searches]
        shown.add_row(strategy, *[known.mean_with_interval(column) for column in zip(*found, strict=True)])
    Console(width=150).print(shown)
    print(f"all {len(known.distinct()):,} scored: {accuracy[whole]:.2f} {whole}; optimum {accuracy.max():.2f}")


@app.command()
def lookups(
    truth: Truth,
    data: Images,
    proxies: Proxies = "jacob_cov,log_synflow",
    strategies: Strategies = known.STRATEGIES,
    warmup: Annotated[
        int, typer.Option(min=0, help="Random architectures that the scores choose the start among.")
    ] = 0,
    moves: Annotated[int, typer.Option(min=1, help="Proposals that the scores choose among.")] = 1,
    reference: Annotated[int, typer.Option(min=2, help="Architectures that the guide compares with.")] = 64,
    most: Annotated[int, typer.Option(min=1, help="Look-ups.")] = 200,
    noisy: Annotated[bool, typer.Option("--noisy", help="Look up one training, not the mean of all.")] = False,
    seeds: Seeds = 20,
    store: Kept = Path("strategies.db"),
    fidelity: Fidelity = known.SMALL,
) -> None:
    """Regret (the optimum's mean accuracy less that of the best look-up), and the accuracy after 20 look-ups."""
    accuracy = accuracies(truth)
    scores = known.for_twins(
        known.score_all(known.distinct(), data, store, proxies=proxies.split(","), fidelity=fidelity)
    )
    counts = [count for count in LOOKUPS if count <= most]
    looked_up, optimum = accuracy["first" if noisy else "mean"], float(accuracy["mean"].max())
    options = {"warmup": warmup, "moves": moves, "reference": reference}
    shown = Table("strategy", *[str(count) for count in counts], "accuracy at 20", "scored")
    for strategy in strategies.split(","):
        if (warmup or moves > 1) and strategy not in GUIDED:
            continue
        searches = track(range(seeds), strategy, console=Console(stderr=True))
        found = [
            by_lookups(strategy, scores, looked_up, accuracy["mean"], counts, seed, data, **options)
            for seed in searches
        ]
        columns = list(zip(*[values for values, _ in found], strict=True))
        regrets = [known.mean_with_interval(optimum - np.array(column)) for column in columns]
        at_20 = known.mean_with_interval(columns[counts.index(20)]) if 20 in counts else ""
        shown.add_row(strategy, *regrets, at_20, f"{np.mean([scored for _, scored in found]):,.0f}")
    Console(width=200).print(shown)


if __name__ == "__main__":
    app()
