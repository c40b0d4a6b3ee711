"""What tuning on a few trained architectures gains on all others, and whether its nested interval covers it.

    python bench/tuning.py digits --store scores.db [--fidelity width=0.5 --batch 32]
    python bench/tuning.py nasbench201 --truth TRUTH.csv --data npz:IMAGES.npz --store scores.db

Architectures are scored once. A draw takes some of them as trained, tunes, and measures Kendall's τ of what
was found less that of the default on all architectures left. Means over draws with 95 % bootstrap intervals; "covered"
is the part of the draws whose nested interval contains the mean gain of that size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import zerocost as zc
from zerocost import combine
from zerocost.combine import Combination
from zerocost.evaluation.evaluate import draw_architectures
from zerocost.proxies.registry import portable_proxies
from zerocost.store import Store
from zerocost.tuning.find import Frames, Recipe, Tuner, kendall_tau
from zerocost.tuning.nested import cross_validate, divide_in_parts, kendall_gain
from zerocost.tuning.scores import ScoringSetup, Setting, score_settings
from zerocost.tuning.tune import CANDIDATES

SIZES = (16, 32, 64, 100)


def measure_draw(
    frames: Frames, accuracy: pd.Series[float], default: Recipe, size: int, seed: int, trials: int, nested: bool
) -> dict[str, float]:
    """One draw: the gain on the architectures left, and the nested estimate with its interval."""
    order = np.random.default_rng([size, seed]).permutation(len(accuracy))
    some, rest = order[:size], order[size:]
    fitting, few = accuracy.iloc[some], {setting: frame.iloc[some] for setting, frame in frames.items()}
    names = [str(name) for name in next(iter(frames.values())) if str(name) in CANDIDATES]
    tuner = Tuner(default, names, trials, seed=seed)

    def kendall(recipe: Recipe) -> float:
        frame = frames[recipe.setting]
        values = Combination(recipe.weights, recipe.method).against(frame.iloc[some])(frame.iloc[rest])
        return kendall_tau(values, accuracy.iloc[rest])

    row = {"size": float(size), "default": kendall(default)}
    row["gain"] = kendall(tuner(few, fitting)) - row["default"]
    if nested:
        divisions = list(divide_in_parts(fitting, 5, 1, seed))
        found = cross_validate(few, fitting, tuner, divisions, lambda done, total: None)
        row["nested"], row["low"], row["high"] = kendall_gain(found.held)
    return row


def mean_with_interval(values: pd.Series[float]) -> str:
    """The mean and its 95 % bootstrap interval over draws."""
    means = np.random.default_rng(0).choice(values.to_numpy(), (2000, len(values))).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():+.3f} ({low:+.3f} – {high:+.3f})"


def show(rows: pd.DataFrame, console: Console) -> None:
    """One line a size."""
    columns = ["trained", "τ of the default", "gain", "nested gain", "covered", "shown"]
    table = Table(*columns[:1], box=None)
    for name in columns[1:]:
        table.add_column(name, justify="right")
    for size, some in rows.groupby("size"):
        cells = [f"{some['default'].mean():.3f}", mean_with_interval(some["gain"])]
        if "nested" in some:
            covered = (some["low"] <= some["gain"].mean()) & (some["gain"].mean() <= some["high"])
            cells += [mean_with_interval(some["nested"]), f"{covered.mean():.2f}", f"{(some['low'] > 0).mean():.2f}"]
        table.add_row(f"{size:.0f}", *cells)
    console.print(table)


def main(
    benchmark: str,
    store: Annotated[Path, typer.Option(help="Keep scores here.")],
    truth: Annotated[Path | None, typer.Option(help="The benchmark's file.")] = None,
    data: Annotated[str | None, typer.Option(help="Images; a benchmark may have its own.")] = None,
    n: Annotated[int, typer.Option("--n", help="Architectures to score.")] = 500,
    fidelity: str = "full",
    batch: int = 64,
    sizes: Annotated[list[int] | None, typer.Option(help="Trained architectures.")] = None,
    draws: int = 20,
    trials: int = 100,
    nested: bool = True,
) -> None:
    console = Console()
    table = zc.benchmarks.get(benchmark, truth)
    known = table.truth(**table.default._asdict())
    accuracy = known[draw_architectures(table.space, list(known.index), n, 0)]
    setting = Setting(fidelity, batch, 1)
    proxies = list((portable_proxies(CANDIDATES) | portable_proxies(combine.default)).values())
    with Store(store) as kept:
        source = zc.data.load(data or table.data or "digits:32")
        frames = score_settings(list(accuracy.index), [setting], ScoringSetup(table.space, source, proxies, kept))
    default = Recipe(dict(combine.default.weights), combine.default.method, setting, float("nan"))
    each = [(size, seed) for size in sizes or SIZES for seed in range(draws)]
    rows = [
        measure_draw(frames, accuracy, default, size, seed, trials, nested)
        for size, seed in track(each, "tuning", console=Console(stderr=True))
    ]
    show(pd.DataFrame(rows), console)


if __name__ == "__main__":
    typer.run(main)
