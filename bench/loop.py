"""What a search finds with few trainings: at random, by size, by score, and by learning from those trained so far.

    python bench/loop.py score SCORES/nasbench201.csv --data npz:IMAGES.npz
    python bench/loop.py compare SCORES TRUTHS [--tables nasbench201,macro]
    python bench/loop.py predict SCORES TRUTHS
    python bench/loop.py whole SCORES/nasbench201.csv TRUTH.csv [--share 0.5]
    python bench/loop.py deviations SCORES TRUTHS [--tables nasbench201,macro]
    python bench/loop.py weights SCORES TRUTHS

`score` scores each network of NAS-Bench-201 once, at a reduced fidelity, from seed 0; parameters are those of the full
networks. The other tables in SCORES are those of `bench/ranking.py score`. `compare` draws pools of 1,000 candidates,
or half of a smaller table; candidates are "trained" by looking up their accuracy (the mean over seeds), 5, then 5 more,
and so on. `predict` learns from encoders or decoders drawn at random and ranks the others. `whole` has all networks of
NAS-Bench-201 as candidates, or a share of them, drawn anew each time. `deviations` says how many accuracies are within
one and two standard deviations of what was expected. `weights` compares what the prior expects of each kind of feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
import typer
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nasbench201_scores as known
import zerocost as zc
from ranking import normal_quantiles
from tables import CONVOLUTIONAL, OF_TOKENS, default_for, open_table, read_scores, truth_columns
from zerocost.combine import Combination, default
from zerocost.predict import Features, belief, learn
from zerocost.spaces import SearchSpace

COUNTS = (5, 10, 20)
POOL = 1000
PARTS = ("proxies", "encoding", "counts")
LEARNING = "learning, 5, then rounds of 2"
HEAD = "| regret after | " + " | ".join(map(str, COUNTS)) + " |\n|---|" + "---|" * len(COUNTS)

Tables = Annotated[str, typer.Option("--tables", help="Which tables.")]
EVERY = ",".join([*CONVOLUTIONAL, *OF_TOKENS])
Seeds = Annotated[int, typer.Option(min=2, help="Pools of each table.")]
First = Annotated[int, typer.Option(help="The first seed.")]

app = typer.Typer(add_completion=False)


class Trained(NamedTuple):
    """The candidates of a table: their features, score and size, and what training them gave."""

    name: str
    features: Callable[[list[str]], pd.DataFrame]
    score: Callable[[list[str]], pd.Series[float]]
    size: pd.Series[float]
    accuracy: pd.Series[float]


def of_space(
    name: str, space: SearchSpace, scores: pd.DataFrame, accuracy: pd.Series[float], ranked_by: Combination = default
) -> Trained:
    """A table of a space's architectures, with the scores of a combination."""
    columns = list(dict.fromkeys([*ranked_by.proxies, "params"]))
    return Trained(
        name,
        lambda names: Features(space, PARTS).fit_transform(scores.loc[names, columns]),
        lambda names: ranked_by(scores.loc[names]),
        scores["params"],
        accuracy[scores.index],
    )


def tables(scores: Path, truths: Path, wanted: list[str]) -> Iterator[Trained]:
    for name in wanted:
        found, benchmark = read_scores(name, scores), open_table(name, truths)
        for task, truth in truth_columns(benchmark, name, found.index).items():
            yield of_space(f"{name}, {task}", benchmark.space, found, truth, default_for(name))


def loop(table: Trained, features: pd.DataFrame, score: pd.Series[float], first: list[str], size: int) -> list[str]:
    """What is trained, in order: `size` at a time, after those that are given."""
    order = list(first)
    while len(order) < max(COUNTS):
        order += learn(features, score, table.accuracy[order]).next(size)
    return order


def pools(table: Trained, seeds: Iterable[int]) -> Iterator[tuple[np.random.Generator, list[str]]]:
    """For each seed a generator, and the candidates that it has drawn."""
    every = list(table.accuracy.dropna().index)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        yield rng, [every[i] for i in rng.choice(len(every), min(POOL, len(every) // 2), replace=False)]


def structure_of(features: pd.DataFrame) -> pd.DataFrame:
    """The features that no score tells."""
    return features.loc[:, ~features.columns.str.startswith(("rank:", "failed:"))]


def orders(table: Trained, pool: list[str], rng: np.random.Generator) -> dict[str, list[str]]:
    """What each way trains, in order."""
    score, random = table.score(pool), [pool[i] for i in rng.permutation(len(pool))]
    best = lambda values: list(values.sort_values(ascending=False, kind="stable").index)  # noqa: E731
    features, nothing = table.features(pool), pd.Series(0.0, pool)
    first = learn(features, score, {}).next(5)
    return {
        "random": random,
        "most parameters": best(table.size[pool]),
        "best scores": best(score),
        "surrogate on structure alone, rounds of 5": loop(table, structure_of(features), nothing, random[:5], 5),
        "learning, rounds of 5": loop(table, features, score, first, 5),
        LEARNING: loop(table, features, score, first, 2),
    }


@app.command()
def score(
    out: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    data: Annotated[str, typer.Option(help="The images to score on.")],
    n: Annotated[int, typer.Option(help="Distinct networks, drawn at random.")] = 10**6,
    store: Annotated[Path, typer.Option(help="Where scores are kept.")] = Path("loop.db"),
) -> None:
    """Score the networks of NAS-Bench-201; twins have one score."""
    torch.set_num_threads(1)
    scored = known.score_all(known.distinct()[:n], data, store, proxies=list(default.proxies))
    row = {known.key(text): text for text in scored.index}
    twins = [text for text in known.texts() if known.key(text) in row]
    found = scored.loc[[row[known.key(text)] for text in twins]].set_axis(pd.Index(twins))
    found.assign(params=known.parameters()[twins]).to_csv(out)


@app.command()
def compare(
    scores: Path,
    truths: Path,
    wanted: Tables = EVERY,
    seeds: Seeds = 20,
    first: First = 0,
) -> None:
    """Regret (the best accuracy of the pool less that of the best trained) after 5, 10 and 20 trainings, Markdown.

    Below, in standard deviations of the pool's accuracy, the mean over spaces and, in each, over tasks.
    """
    relative: dict[str, dict[str, list[np.ndarray]]] = {}
    for table in tables(scores, truths, wanted.split(",")):
        found: dict[str, list[list[float]]] = {}
        spreads = []
        for rng, pool in pools(table, range(first, first + seeds)):
            spreads.append(table.accuracy[pool].std())
            for way, order in orders(table, pool, rng).items():
                found.setdefault(way, []).append(regrets_of(table.accuracy[pool], order))
        print(f"\n**{table.name}**, pools of {len(pool):,} of {table.accuracy.count():,}\n")
        print(HEAD)
        for way, regrets in found.items():
            digits = 2 - int(np.floor(np.log10(np.mean(np.array(found["random"])) + 1e-9)))
            print_regrets(way, np.array(regrets), digits)
            tasks = relative.setdefault(way, {}).setdefault(table.name.split(",")[0], [])
            tasks.append(np.array(regrets) / np.array(spreads)[:, None])
        for way in ("most parameters", "best scores"):
            print_regrets(f"{way}, less the last", np.array(found[way]) - found[LEARNING], digits)
    means = {way: np.mean([np.mean(tasks, 0) for tasks in spaces.values()], 0) for way, spaces in relative.items()}
    print(f"\n**All**, in standard deviations\n\n{HEAD}")
    for way, regrets in means.items():
        print_regrets(way, regrets, 3)
    for way, regrets in means.items():
        print_regrets(f"{way}, less the last", regrets - means[LEARNING], 3)


def regrets_of(accuracy: pd.Series[float], order: list[str]) -> list[float]:
    """The best accuracy of a pool less that of the first 5, 10 and 20 in order."""
    return [float(accuracy.max() - accuracy[order[:count]].max()) for count in COUNTS]


def print_regrets(way: str, regrets: np.ndarray, digits: int) -> None:
    """A row of a table: draws × counts of trainings."""
    print(
        f"| {way} | " + " | ".join(known.mean_with_interval(column, digits) for column in regrets.T) + " |", flush=True
    )


@app.command()
def predict(scores: Path, truths: Path, draws: Annotated[int, typer.Option(min=2)] = 30) -> None:
    """Spearman's correlation on the encoders of NAS-Bench-BERT and the decoders of GPT-S that were not trained."""
    for table in tables(scores, truths, list(OF_TOKENS)):
        print(f"\n**{table.name}**, {table.accuracy.count()}\n\n| trained | 20 | 40 |\n|---|---|---|")
        for way, expect in expectations(table).items():
            cells = [known.mean_with_interval(held_out(table, expect, n, draws), 3) for n in (20, 40)]
            print(f"| {way} | " + " | ".join(cells) + " |", flush=True)


def expectations(table: Trained) -> dict[str, Callable[[list[str]], pd.Series[float]]]:
    """What each way expects of all networks of a table, from the trained ones."""
    every = list(table.accuracy.dropna().index)
    features, scored = table.features(every), table.score(every)
    counts, structure = features.filter(like="count:"), structure_of(features)
    return {
        "parameters": lambda names: table.size,
        "the default score": lambda names: scored,
        "ridge on counts": lambda names: pd.Series(
            make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 20)))
            .fit(counts.loc[names], table.accuracy[names])
            .predict(counts),
            every,
        ),
        "learn": lambda names: learn(features, scored, table.accuracy[names]).mean,
        "learn from normal quantiles": lambda names: learn(features, scored, quantiles(table.accuracy[names])).mean,
        "learn, structure alone": lambda names: learn(structure, 0 * scored, table.accuracy[names]).mean,
    }


def quantiles(values: pd.Series[float]) -> pd.Series[float]:
    """The normal quantile of each value's rank."""
    return pd.Series(normal_quantiles(values.to_numpy()), values.index)


def held_out(table: Trained, expect: Callable[[list[str]], pd.Series[float]], n: int, draws: int) -> list[float]:
    """The correlation on the other networks, when n drawn at random are trained, for each draw."""
    every, found = list(table.accuracy.dropna().index), []
    for seed in range(draws):
        drawn = list(np.random.default_rng(seed).choice(every, n, replace=False))
        others = [one for one in every if one not in set(drawn)]
        found.append(float(spearmanr(expect(drawn)[others], table.accuracy[others]).statistic))
    return found


@app.command()
def deviations(
    scores: Path,
    truths: Path,
    wanted: Tables = EVERY,
    seeds: Seeds = 20,
) -> None:
    """How many accuracies are within one and two deviations of what was expected, means over tasks and pools."""
    print("| table | chosen next, within 1 | within 2 | others after 20, within 1 | within 2 |\n|---|---|---|---|---|")
    found: dict[str, list[list[float]]] = {}
    for table in tables(scores, truths, wanted.split(",")):
        for _, pool in pools(table, range(seeds)):
            features, score = table.features(pool), table.score(pool)
            order, errors = learn(features, score, {}).next(5), []
            while len(order) < max(COUNTS):
                expected = learn(features, score, table.accuracy[order])
                chosen = expected.next(2)
                errors += list(((table.accuracy - expected.mean) / expected.std)[chosen].abs())
                order += chosen
            expected = learn(features, score, table.accuracy[order[: max(COUNTS)]])
            left = ((table.accuracy - expected.mean) / expected.std)[pool].drop(order).abs()
            shares = [float(np.mean(np.array(group) < limit)) for group in (errors, left) for limit in (1, 2)]
            found.setdefault(table.name.split(",")[0], []).append(shares)
    for name, rows in found.items():
        print(f"| {name} | " + " | ".join(f"{100 * share:.0f} %" for share in np.mean(rows, 0)) + " |")


@app.command()
def weights(
    scores: Path,
    truths: Path,
    wanted: Tables = EVERY,
    seeds: Seeds = 20,
    first: First = 100,
) -> None:
    """Regret by the weights of ranks, encodings and counts, and by those that are best on all other spaces, Markdown.

    In standard deviations of the pool's accuracy, means over spaces and, in each, over tasks. The best have the least
    sum of regrets, each divided by that of all weights in the mean.
    """
    choices = [*product((0.25, 0.5, 1.0, 2.0), (0.3, 0.6, 1.2), (0.125, 0.25, 0.5))]
    found: dict[str, list[np.ndarray]] = {}  # by space, for each task: choices × counts
    for table in tables(scores, truths, wanted.split(",")):
        regrets = np.zeros((len(choices), len(COUNTS)))
        for _, pool in pools(table, range(first, first + seeds)):
            accuracy, features, score = table.accuracy[pool], table.features(pool), table.score(pool)
            for place, choice in enumerate(choices):
                with patch.dict(belief._WEIGHTS, dict(zip(("rank", "encoding", "count"), choice, strict=True))):
                    order = loop(table, features, score, learn(features, score, {}).next(5), 2)
                regrets[place] += np.array(regrets_of(accuracy, order)) / accuracy.std() / seeds
        found.setdefault(table.name.split(",")[0], []).append(regrets)
    each = {space: np.mean(tasks, 0) for space, tasks in found.items()}
    best = lambda spaces: int(np.argmin((sum(spaces) / np.maximum(np.mean(sum(spaces), 0), 1e-9)).sum(1)))  # noqa: E731
    print("| ranks | encodings | counts | 5 | 10 | 20 |\n|---|---|---|---|---|---|")
    for choice, regrets in zip(choices, np.mean(list(each.values()), 0), strict=True):
        print("| " + " | ".join([*map(str, choice), *(f"{regret:.3f}" for regret in regrets)]) + " |")
    chosen = {space: best([rest for other, rest in each.items() if other != space]) for space in each}
    print("\nBest on all other spaces: " + ", ".join(f"{space} {choices[place]}" for space, place in chosen.items()))
    print("So chosen: " + ", ".join(f"{x:.3f}" for x in np.mean([each[space][chosen[space]] for space in each], 0)))


@app.command()
def whole(
    scores: Path,
    truth: Path,
    draws: Annotated[int, typer.Option(min=2)] = 20,
    share: Annotated[float, typer.Option(help="Of the networks, as many are candidates, drawn at random.")] = 1.0,
) -> None:
    """Test accuracy of what is found among the networks of NAS-Bench-201, one cell of each set of twins, Markdown.

    A training gives the accuracy of one training seed, drawn at random. The network of the highest one is judged by its
    mean over seeds.
    """
    benchmark = zc.benchmarks.get("nasbench201", truth)
    found, query = pd.read_csv(scores, index_col=0), benchmark.default._asdict()
    pool = [text for text in known.distinct() if text in found.index]
    mean = benchmark.truth(**query)[pool]
    each = pd.DataFrame({seed: benchmark.truth(**query | {"seed": seed}) for seed in benchmark.seeds}).reindex(pool)
    size = round(share * len(pool))
    print(f"{size:,} of {len(pool):,} networks, the best of all {mean.max():.2f}\n")
    print("| way | 5 | 10 | 20 |\n|---|---|---|---|")
    cells: dict[str, list[list[float]]] = {}
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        drawn = [pool[i] for i in rng.permutation(len(pool))[:size]]
        picked = each.loc[drawn].apply(lambda row, rng=rng: rng.choice(row.dropna()), axis=1)
        table = of_space("nasbench201", benchmark.space, found.loc[drawn], picked)
        for way, order in orders(table, drawn, rng).items():
            best = [str(picked[order[:count]].idxmax()) for count in COUNTS]
            cells.setdefault(way, []).append([float(mean[name]) for name in best])
    for way, values in cells.items():
        print(f"| {way} | " + " | ".join(map(known.mean_with_interval, zip(*values, strict=True))) + " |", flush=True)


if __name__ == "__main__":
    app()
