"""Does it help to score from several seeds, or to weigh each proxy by how far it agrees with itself?

    python bench/repeats.py score TRUTHS SCORES --images npz:IMAGES.npz [--seeds 3] [--workers 2]
    python bench/repeats.py table TRUTHS SCORES [--seeds 3]

SCORES is that of `bench/ranking.py score`. `score` scores the networks of each table, drawn before, from further seeds:
other initial weights and another batch, by the proxies of the default. `table` prints Spearman's correlation with the
trained truth of the default from one seed, in the mean over the seeds; of the default on the mean scores of all seeds;
and of that with each proxy's weight times its reliability, the mean Spearman's correlation of its scores between
two seeds. Then how reliable each proxy is. Means and intervals as in `bench/ranking.py`.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

from ranking import correlations, interval, read_tables, score_networks, space_of
from tables import BESIDE, CONVOLUTIONAL, TRANSFORMERS, default_for, read_scores
from zerocost.combine import Combination

Seeds = Annotated[int, typer.Option(min=2)]
app = typer.Typer(add_completion=False)


@app.command()
def score(
    truths: Path, scores: Path, images: Annotated[str, typer.Option()], seeds: Seeds = 3, workers: int = 2
) -> None:
    """Score the networks of every table again, from seeds 1, 2, …"""
    torch.set_num_threads(1)
    for name in CONVOLUTIONAL + TRANSFORMERS:
        space, texts = space_of(name, truths), list(read_scores(name, scores).index)
        for seed in range(1, seeds):
            frame = score_networks(name, space, texts, list(default_for(name).proxies), seed, images, workers)
            (scores / f"seed{seed}").mkdir(exist_ok=True)
            frame.to_csv(scores / f"seed{seed}" / f"{name}.csv")
            print(name, seed, flush=True)


def weighted_by(reliability: pd.Series[float], scores: pd.DataFrame, plain: Combination) -> pd.Series[float]:
    """The consensus in which each proxy's weight is also multiplied by its reliability."""
    weights = {name: max(float(reliability[name]), 1e-6) for name in plain.proxies}
    return Combination(weights, "consensus")(scores)


@app.command("table")
def print_table(truths: Path, scores: Path, seeds: Seeds = 3) -> None:
    """Print Spearman's correlation of each way in each table, and how reliable each proxy is."""
    first = read_tables(truths, scores)
    found: dict[str, dict[str, np.ndarray]] = {"one seed": {}, f"mean of {seeds} seeds": {}, "times reliability": {}}
    reliable = {}
    for name, (frame, columns) in first.items():
        if name in BESIDE:
            continue
        kind = name.split()[0]
        plain = default_for(kind)
        names = list(plain.proxies)
        again = [read_scores(kind, scores / f"seed{seed}").loc[frame.index, names] for seed in range(1, seeds)]
        each = [frame[names], *again]
        pairs = [a.corrwith(b, method="spearman") for a, b in combinations([x.fillna(-np.inf) for x in each], 2)]
        reliable[name] = pd.concat(pairs, axis=1).mean(axis=1).fillna(0.0)
        mean = sum(each[1:], each[0]) / seeds
        found["one seed"][name] = np.mean([correlations(plain(one), columns) for one in each], axis=0)
        found[f"mean of {seeds} seeds"][name] = correlations(plain(mean), columns)
        found["times reliability"][name] = correlations(weighted_by(reliable[name], mean, plain), columns)
    images = [name for name in reliable if name in CONVOLUTIONAL]
    print("| way | mean, all | less one seed | mean, CNNs | " + " | ".join(reliable) + " |")
    print("|---|" + "---|" * (3 + len(reliable)))
    for way, of in found.items():
        every = np.mean([*of.values()], axis=0)
        less = every - np.mean([*found["one seed"].values()], axis=0)
        cnns = np.mean([of[name] for name in images], axis=0)
        cells = [interval(every), interval(less), interval(cnns), *map(interval, of.values())]
        print(f"| {way} | " + " | ".join(cells) + " |")
    print("\n" + pd.DataFrame(reliable).round(2).to_string())


if __name__ == "__main__":
    app()
