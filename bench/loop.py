"""What a search finds with few trainings: at random, by size, by score, and by learning from those trained so far.

    python bench/loop.py score nasbench201 --truth TRUTH.csv --data npz:IMAGES.npz --out SCORES/nasbench201.csv
    python bench/loop.py compare SCORES TRUTHS [--tables nasbench201,macro,darts,transnas_micro,bert,gpt]
    python bench/loop.py predict TRUTHS
    python bench/loop.py whole SCORES/nasbench201.csv TRUTH.csv

`score` scores each network of a benchmark once, at a reduced fidelity, from seed 0; parameters and FLOPs are those of
the full networks. `compare` draws pools of 1,000 candidates, or half of a smaller table; candidates are "trained" by
looking up their accuracy (the mean over seeds), 5, then 5 more, and so on. The tables `bert` and `gpt` have no space
here: their features are read from their texts, and their score is the number of parameters. `predict` learns from
BERT-like encoders drawn at random and ranks the others. `whole` has all networks of NAS-Bench-201 as candidates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

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
from combinations import score_all
from zerocost.combine import default
from zerocost.predict import Features, learn
from zerocost.search.sizes import size_costs
from zerocost.spaces import SearchSpace

FIDELITY = "width=0.5,resolution=16,batch=32"
FIDELITIES = {"digits": "batch=32"}
FILES = {
    "nasbench201": "nasbench201-cifar10.csv",
    "macro": "nasbench-macro-cifar10-sample.json",
    "darts": "darts-cifar10-sample.csv",
    "transnas_micro": "transnas101-micro-sample.csv",
    "transnas_macro": "transnas101-macro-sample.csv",
    "digits": "",
    "bert": "bert-glue-sample.csv",
    "gpt": "gpt-s-openwebtext-sample.csv",
}
STRONG = "jacob_cov,log_synflow,naswot,az_expressivity,az_progressivity"
COUNTS = (5, 10, 20)
POOL = 1000
PARTS = ("proxies", "encoding", "counts")

app = typer.Typer(add_completion=False)


class Trained(NamedTuple):
    """The candidates of a table: their features, score and size, and what training them gave."""

    name: str
    features: Callable[[list[str]], pd.DataFrame]
    score: Callable[[list[str]], pd.Series[float]]
    size: pd.Series[float]
    accuracy: pd.Series[float]


def of_space(
    name: str, space: SearchSpace, scores: pd.DataFrame, accuracy: pd.Series[float], proxies: str = ""
) -> Trained:
    """A table of a space's architectures, with the scores of the default combination or of other proxies."""
    score = zc.combine.as_combination(proxies) if proxies else default
    columns = [*score.proxies, *[size for size in ("params", "flops") if size not in score.proxies]]
    return Trained(
        name,
        lambda names: Features(space, PARTS).fit_transform(scores.loc[names, columns]),
        lambda names: score(scores.loc[names]),
        scores["params"],
        accuracy[scores.index],
    )


def of_choices(name: str, choices: pd.DataFrame, size: pd.Series[float], accuracy: pd.Series[float]) -> Trained:
    """A table without a space: `choices` has a column a choice, numbers or texts, NaN where it is not asked."""
    numbers = choices.select_dtypes("number").fillna(0.0)
    texts = choices.select_dtypes(exclude="number")
    encoding = pd.concat([numbers / numbers.max(), pd.get_dummies(texts, dtype=float)], axis=1).add_prefix("encoding:")
    rows = [
        pd.Series([f"{re.sub(r'[0-9]+', '', str(n))}={v}" for n, v in row.dropna().items()]).value_counts()
        for _, row in texts.iterrows()
    ]
    counts = pd.concat([numbers, pd.DataFrame(rows, index=choices.index).fillna(0.0)], axis=1).add_prefix("count:")
    table = pd.concat([encoding, counts], axis=1).assign(**{"rank:params": size})
    return Trained(name, lambda names: table.loc[names], lambda names: size[names], size, accuracy)


def bert(file: Path) -> Trained:
    """Encoders of NAS-Bench-BERT; parameters without embeddings."""
    table = pd.read_csv(file)
    rows, sizes = [], []
    for text in table["architecture"]:
        hidden, *layers = text.split("|")
        row: dict[str, object] = {"hidden": int(hidden), "layers": len(layers)}
        size = 0
        for i, layer in enumerate(layers):
            operation, parameter, heads, forward = layer.split(":")
            width, number = map(int, forward.split("x"))
            row |= {f"op{i}": f"{operation}{parameter}", f"heads{i}": heads, f"ff{i}": str(width), f"n{i}": str(number)}
            mixing = 0 if operation == "LT" else 4 * int(hidden) ** 2
            size += mixing + 2 * int(hidden) * width + (number - 1) * width**2
        rows.append(row)
        sizes.append(size)
    index = pd.Index([f"bert{i}" for i in range(len(table))])  # some encoders are there twice
    size = pd.Series(sizes, index, dtype=float)
    return of_choices("bert", pd.DataFrame(rows, index), size, table["glue"].set_axis(index))


def gpt(file: Path) -> Trained:
    """Decoders of HW-GPT-Bench S, by negative perplexity; parameters without embeddings."""
    table = pd.read_csv(file)
    rows, sizes = [], []
    for one in table.itertuples():
        heads, ratios = one.heads.split("-"), one.mlp_ratios.split("-")
        row = {"width": one.embed_dim, "layers": one.layers, "bias": one.bias, "ratios": sum(map(float, ratios))}
        rows.append(row | {f"h{i}": h for i, h in enumerate(heads)} | {f"m{i}": m for i, m in enumerate(ratios)})
        sizes.append(sum(one.embed_dim**2 * (4 + 2 * float(ratio)) for ratio in ratios))
    index = pd.Index([f"gpt{i}" for i in range(len(table))])
    size = pd.Series(sizes, index, dtype=float)
    return of_choices("gpt", pd.DataFrame(rows, index), size, -table["perplexity"].set_axis(index))


def tables(scores: Path, truths: Path, wanted: list[str]) -> Iterator[Trained]:
    for name in wanted:
        if name in ("bert", "gpt"):
            yield {"bert": bert, "gpt": gpt}[name](truths / FILES[name])
            continue
        found = pd.read_csv(scores / f"{name}.csv", index_col=0, dtype={0: str})
        found.index = found.index.astype(str)
        benchmark = zc.benchmarks.get(name, truths / FILES[name] if FILES[name] else None)
        for metric in benchmark.metrics if "transnas" in name else [benchmark.default.metric]:
            truth = benchmark.truth(**benchmark.default._asdict() | {"metric": metric})
            yield of_space(f"{name}, {metric}", benchmark.space, found, truth)
            if name == "nasbench201":
                strong = f"{name}, {metric}, {len(STRONG.split(','))} strong proxies"
                yield of_space(strong, benchmark.space, found, truth, STRONG)


def loop(table: Trained, pool: list[str], score: pd.Series[float], first: list[str], size: int) -> list[str]:
    """What is trained, in order: `size` at a time, after those that are given."""
    features, order = table.features(pool), list(first)
    if not score.any():
        features = features.loc[:, ~features.columns.str.startswith(("rank:", "failed:"))]
    while len(order) < max(COUNTS):
        order += learn(features, score, table.accuracy[order]).next(size)
    return order


def orders(table: Trained, pool: list[str], rng: np.random.Generator) -> dict[str, list[str]]:
    """What each way trains, in order."""
    score, random = table.score(pool), [pool[i] for i in rng.permutation(len(pool))]
    best = lambda values: list(values.sort_values(ascending=False, kind="stable").index)  # noqa: E731
    nothing, first = pd.Series(0.0, pool), learn(table.features(pool), score, {}).next(5)
    return {
        "random": random,
        "most parameters": best(table.size[pool]),
        "best scores": best(score),
        "surrogate on structure alone, rounds of 5": loop(table, pool, nothing, random[:5], 5),
        "learning, rounds of 5": loop(table, pool, score, first, 5),
        "learning, 5, then rounds of 2": loop(table, pool, score, first, 2),
    }


@app.command()
def score(
    name: str,
    data: Annotated[str, typer.Option(help="The images to score on.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    truth: Annotated[Path | None, typer.Option(help="The benchmark's file, if it does not come with zerocost.")] = None,
    n: Annotated[int, typer.Option(help="Distinct networks, drawn at random.")] = 10**6,
    store: Annotated[str, typer.Option(help="Where scores are kept.")] = "loop.db",
) -> None:
    """Score a benchmark's networks."""
    torch.set_num_threads(1)
    benchmark = zc.benchmarks.get(name, truth)
    names = list(dict.fromkeys([*default.proxies, *STRONG.split(",")]))
    if name == "nasbench201":
        scored = known.score_all(known.distinct()[:n], data, Path(store), proxies=names)
        row = {known.key(text): text for text in scored.index}
        twins = [text for text in known.texts() if known.key(text) in row]
        found = scored.loc[[row[known.key(text)] for text in twins]].set_axis(pd.Index(twins))
        found["params"] = known.parameters()[twins]
    else:
        every = benchmark.truth(**benchmark.default._asdict()).iloc[:n]
        found = score_all(benchmark, every, names, data, FIDELITIES.get(name, FIDELITY), store).drop(columns="network")
        sizes = size_costs(benchmark.space, zc.data.draw(zc.data.load(data), 1, seed=0).inputs)
        for size in ("params", "flops"):
            found[size] = [float(sizes[size](benchmark.space.parse(text))) for text in found.index]
    found.to_csv(out)


@app.command()
def compare(
    scores: Path,
    truths: Path,
    wanted: Annotated[str, typer.Option("--tables", help="Which tables.")] = ",".join(FILES),
    seeds: Annotated[int, typer.Option(min=2, help="Pools of each table.")] = 20,
) -> None:
    """Regret (the best accuracy of the pool less that of the best trained) after 5, 10 and 20 trainings, Markdown."""
    for table in tables(scores, truths, wanted.split(",")):
        every = list(table.accuracy.dropna().index)
        found: dict[str, list[list[float]]] = {}
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            size = min(POOL, len(every) // 2)
            pool = [every[i] for i in rng.choice(len(every), size, replace=False)]
            best = table.accuracy[pool].max()
            for way, order in orders(table, pool, rng).items():
                regret = [best - table.accuracy[order[:count]].max() for count in COUNTS]
                found.setdefault(way, []).append(regret)
        print(f"\n**{table.name}**, pools of {size:,} of {len(every):,}\n")
        print("| regret after | " + " | ".join(map(str, COUNTS)) + " |\n|---|" + "---|" * len(COUNTS))
        for way, regrets in found.items():
            columns = list(zip(*regrets, strict=True))
            digits = 2 - int(np.floor(np.log10(np.mean(np.array(found["random"])) + 1e-9)))
            cells = [known.mean_with_interval(column, digits) for column in columns]
            print(f"| {way} | " + " | ".join(cells) + " |", flush=True)


@app.command()
def predict(truths: Path, draws: Annotated[int, typer.Option(min=2)] = 30) -> None:
    """Spearman's correlation on the encoders of NAS-Bench-BERT that were not trained."""
    table = bert(truths / FILES["bert"])
    every = list(table.accuracy.index)
    features, size = table.features(every), table.size
    counts = features.filter(like="count:")
    ways: dict[str, Callable[[list[str]], pd.Series[float]]] = {
        "parameters": lambda names: size,
        "ridge on counts": lambda names: pd.Series(
            make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 20)))
            .fit(counts.loc[names], table.accuracy[names])
            .predict(counts),
            every,
        ),
        "learn": lambda names: learn(features, size, table.accuracy[names]).mean,
        "learn, structure alone": lambda names: (
            learn(features.drop(columns="rank:params"), 0 * size, table.accuracy[names]).mean
        ),
    }
    print("| trained | 20 | 40 |\n|---|---|---|")
    for way, expect in ways.items():
        cells = []
        for n in (20, 40):
            drawn = [list(np.random.default_rng(seed).choice(every, n, replace=False)) for seed in range(draws)]
            rest = [[one for one in every if one not in set(names)] for names in drawn]
            found = [
                float(spearmanr(expect(names)[others], table.accuracy[others]).statistic)
                for names, others in zip(drawn, rest, strict=True)
            ]
            cells.append(known.mean_with_interval(found, 3))
        print(f"| {way} | " + " | ".join(cells) + " |", flush=True)


@app.command()
def whole(scores: Path, truth: Path, draws: Annotated[int, typer.Option(min=2)] = 20) -> None:
    """Test accuracy of what is found among all networks of NAS-Bench-201, one cell of each set of twins, Markdown.

    A training gives the accuracy of one training seed, drawn at random. The network of the highest one is judged by its
    mean over seeds.
    """
    benchmark = zc.benchmarks.get("nasbench201", truth)
    found, query = pd.read_csv(scores, index_col=0), benchmark.default._asdict()
    pool = [text for text in known.distinct() if text in found.index]
    mean = benchmark.truth(**query)[pool]
    each = pd.DataFrame({seed: benchmark.truth(**query | {"seed": seed}) for seed in benchmark.seeds}).reindex(pool)
    print(f"{len(pool):,} networks, the best {mean.max():.2f}\n")
    print("| way | 5 | 10 | 20 |\n|---|---|---|---|")
    cells: dict[str, list[list[float]]] = {}
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        picked = each.apply(lambda row, rng=rng: rng.choice(row.dropna()), axis=1)
        for title, proxies in (("default", ""), ("strong proxies", STRONG)):
            table = of_space(title, benchmark.space, found.loc[pool], picked, proxies)
            for way, order in orders(table, pool, rng).items():
                best = [str(picked[order[:count]].idxmax()) for count in COUNTS]
                cells.setdefault(f"{way}, {title}", []).append([float(mean[name]) for name in best])
    for way, values in cells.items():
        print(f"| {way} | " + " | ".join(map(known.mean_with_interval, zip(*values, strict=True))) + " |", flush=True)


if __name__ == "__main__":
    app()
