"""How our scores rank NAS-Bench-201 architectures beside those that NAS-Bench-Suite-Zero published.

    python bench/agreement.py SCORES.csv --data npz:IMAGES.npz [--n 500] [--keep scores/]

SCORES.csv has a column `arch` and one for each of the 13 published proxies. Each network is built at full size and
scored on 64 CIFAR-10 images, twice: with seed 0 and seed 1, which draw other weights and other images. The published
scores come from weights and images of their own, so that no proxy can agree with them better than with itself: the
agreement between our two seeds is the ceiling.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import spearmanr

import zerocost as zc
from zerocost.base.fidelity import FULL, Fidelity
from zerocost.base.resize import resize
from zerocost.scoring.rank import rank_batch

OURS = {
    **{name: name for name in ("epe_nas", "fisher", "flops", "grad_norm", "grasp", "l2_norm", "params", "plain")},
    **{"jacov": "jacob_cov", "nwot": "naswot", "snip": "snip", "synflow": "synflow"},
    "zen": "zen(initialisation=gaussian, inputs=noise)",
}
SEEDS = (0, 1)


def score_all(
    architectures: list[str],
    data: str,
    batch: int,
    seed: int,
    keep: Path,
    console: Console,
    fidelity: Fidelity = FULL,
) -> pd.DataFrame:
    """Our scores of each architecture; those in the file `keep` are not computed again."""
    done = pd.read_csv(keep, index_col="arch") if keep.exists() else pd.DataFrame()
    space, drawn = zc.spaces.get("nasbench201"), zc.data.draw(zc.data.load(data), batch, seed=seed)
    drawn = zc.data.Batch(resize(drawn.inputs, fidelity.resolution), drawn.targets)
    for text in track([a for a in architectures if a not in done.index], f"seed {seed}", console=console):
        build = partial(space.build, space.parse(text), fidelity)
        table = rank_batch({text: build}, drawn, list(OURS.values()), seed=seed)
        row = table.frame.drop(columns="rank_score").rename_axis("arch")
        row.to_csv(keep, mode="a", header=not keep.exists())
    return pd.read_csv(keep, index_col="arch").loc[architectures]


def spearman(a: pd.Series, b: pd.Series, rng: np.random.Generator, draws: int = 1000) -> tuple[float, float, float]:
    """Rank correlation over the architectures that both have a score for, and its 95 % bootstrap interval."""
    pairs = pd.concat([a, b], axis=1).dropna().to_numpy()
    picks = (pairs[rng.choice(len(pairs), len(pairs))] if len(pairs) else pairs for _ in range(draws))
    low, high = np.percentile([correlation(pick) for pick in picks], [2.5, 97.5])
    return correlation(pairs), low, high


def correlation(pairs: np.ndarray) -> float:
    """Spearman's, 0 where one side is constant; not a number for fewer than two pairs."""
    if len(pairs) < 2:
        return float("nan")
    constant = (pairs == pairs[0]).all(0).any()
    return 0.0 if constant else float(spearmanr(*pairs.T).statistic)


def main(
    scores: Annotated[Path, typer.Argument(help="The published scores, a CSV file.")],
    data: Annotated[str, typer.Option(help="CIFAR-10 images: npz:PATH or cifar10:PATH.")],
    n: Annotated[int, typer.Option(min=10, help="Architectures, drawn at random.")] = 500,
    batch: Annotated[int, typer.Option(min=2, help="Images in the batch.")] = 64,
    keep: Annotated[Path, typer.Option(help="A folder for our scores, where the next run goes on.")] = Path(
        "agreement"
    ),
    fidelity: Annotated[str, typer.Option(help="Smaller siblings, such as width=0.5, to try the script out.")] = "full",
) -> None:
    """Spearman's rank correlation with the published scores, and between two seeds of ours."""
    torch.set_num_threads(1)
    console, rng = Console(), np.random.default_rng(0)
    published = pd.read_csv(scores, index_col="arch")
    chosen = [str(a) for a in rng.permutation(published.index)[:n]]
    keep.mkdir(parents=True, exist_ok=True)
    scale = Fidelity.parse(fidelity)
    ours = [
        score_all(chosen, data, batch, seed, keep / f"seed-{seed}.csv", Console(stderr=True), scale) for seed in SEEDS
    ]
    table = Table("proxy", "with the published", "95 %", "between our seeds", "95 %", "failed")
    for name, mine in OURS.items():
        with_published = spearman(published.loc[chosen, name], ours[0][mine], rng)
        ceiling = spearman(ours[0][mine], ours[1][mine], rng)
        cells = [
            f"{c[0]:.3f}" if i == 0 else f"{c[1]:.3f} – {c[2]:.3f}" for c in (with_published, ceiling) for i in (0, 1)
        ]
        table.add_row(name, *cells, str(int(ours[0][mine].isna().sum())))
    console.print(table)
    console.print(f"{n} architectures, {batch} images, torch {torch.__version__}")


if __name__ == "__main__":
    typer.run(main)
