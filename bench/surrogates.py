"""How well surrogates order architectures that were not trained, after 16 to 200 that were.

    python bench/surrogates.py --scores SCORES.csv --truth TRUTH.csv [--space nasbench201] [--draws 20] [--first 0]

SCORES.csv has a column with the architectures' texts, the first, and one for each proxy; TRUTH.csv has them in a column
`arch` or `architecture` and their accuracy in a column `test_accuracy_mean`, or that of `--column`. In each draw, n
architectures are drawn at random as those that were trained; the surrogate sees the scores of all, and predicts the
others. Settings were chosen on draws from 100 on, and are reported on draws from 0 on.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor

from zerocost.combine.ranks import log_rank
from zerocost.predict.surrogate import Surrogate

SETTINGS: dict[str, tuple[object, object]] = {
    "`blend`, auto: the default": ("blend", "auto"),
    "`blend`, all": ("blend", "all"),
    "`blend`, proxies": ("blend", "proxies"),
    "`blend`, graph": ("blend", "graph"),
    "`gp`, auto": ("gp", "auto"),
    "`gp`, proxies": ("gp", "proxies"),
    "`forest`, auto": ("forest", "auto"),
    "`forest`, proxies": ("forest", "proxies"),
    "`boosting`, auto": ("boosting", "auto"),
    "`ridge`, auto": ("ridge", "auto"),
    "a random forest, proxies": (RandomForestRegressor(random_state=0), "proxies"),
}


def read_scores(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, index_col=0)


def read_truth(file: Path, column: str) -> pd.Series:
    table = pd.read_csv(file)
    return table.set_index("arch" if "arch" in table else "architecture")[column]


def held_out(surrogate: Surrogate, scores: pd.DataFrame, truth: pd.Series, n: int, draw: int) -> tuple[float, ...]:
    """Spearman's correlation on what was held out; the standard deviation of errors in units of that predicted; and
    how many are within twice of that."""
    order = np.random.default_rng(draw).permutation(len(scores))
    trained, others = scores.index[order[:n]], scores.index[order[n:]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        surrogate.fit(scores.loc[trained], truth.loc[trained], pool=scores)
    mean, std = surrogate.predict(scores.loc[others], return_std=True)
    errors = (truth.loc[others].to_numpy() - mean) / std
    return (
        float(spearmanr(mean, truth.loc[others]).statistic),
        float(np.std(errors)),
        float(np.mean(np.abs(errors) < 2)),
    )


def interval(values: list[float]) -> str:
    """The mean over draws and its 95 % bootstrap interval."""
    drawn = np.random.default_rng(0).choice(values, (1000, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{np.mean(values):.3f} ({low:.3f} – {high:.3f})"


def main(
    scores: Annotated[Path, typer.Option(help="CSV: a column of architectures, a column a proxy.")],
    truth: Annotated[Path, typer.Option(help="CSV: `arch` and accuracies.")],
    column: Annotated[str, typer.Option(help="The column of accuracies.")] = "test_accuracy_mean",
    space: Annotated[str, typer.Option(help="The architectures' space.")] = "nasbench201",
    n: Annotated[str, typer.Option(help="How many were trained.")] = "16,32,64,100,200",
    draws: Annotated[int, typer.Option(min=1, help="Draws of trained architectures.")] = 20,
    first: Annotated[int, typer.Option(min=0, help="Number of the first draw.")] = 0,
    pool: Annotated[int, typer.Option(min=0, help="Architectures, the first of the file; 0 for all.")] = 0,
    only: Annotated[str, typer.Option(help="Only settings whose name has this in it.")] = "",
    calibration: Annotated[bool, typer.Option(help="Show how large errors are beside those expected.")] = False,
) -> None:
    """A Markdown table of held-out Spearman correlations, mean and 95 % interval over draws."""
    known = read_truth(truth, column)
    table = read_scores(scores)
    table = table.loc[table.index.isin(known.index)].iloc[: pool or None]
    sizes = [int(size) for size in n.split(",")]
    print("| surrogate | " + " | ".join(f"n = {size}" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name, (estimator, parts) in SETTINGS.items():
        if only not in name:
            continue
        cells = []
        for size in sizes:
            found = [
                held_out(Surrogate(space, estimator, parts), table, known, size, draw)
                for draw in range(first, first + draws)
            ]
            ranked, errors, covered = zip(*found, strict=True)
            beside = f"; errors {np.median(errors):.2f}, {np.mean(covered):.0%} within 2" if calibration else ""
            cells.append(interval(list(ranked)) + beside)
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    untrained = spearmanr(log_rank(table), known.loc[table.index]).statistic
    print(f"\n{len(table)} architectures, {table.shape[1]} proxies; their log-rank sum alone: {untrained:.3f}")


if __name__ == "__main__":
    typer.run(main)
