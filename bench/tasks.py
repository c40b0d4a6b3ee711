"""Does the filter help outside image classification? Scores against trained errors, on two tables and a series.

    pip install plotnine vega_datasets   # they ship two of the data sets, as CSV; nothing is downloaded
    python bench/tasks.py FOLDER

For each data set, 60 architectures of space `mlp` or `tcn`, drawn at random, are scored with every proxy on one batch
of 64 samples, and trained from two seeds as `zerocost.search` trains, for the epochs in `DATA`. The truth is the mean
over seeds of the least error on the validation data, a fifth of the samples. The tables give Kendall's τ and Spearman's
ρ with 95 % intervals over 2,000 bootstrap resamples of the architectures; a failed score ranks last. Then combinations
are chosen on one table and judged on the other, of the series on half of the architectures and judged on the other
half, and the five of the highest scores are compared with five random picks.

Errors are kept in FOLDER, and so the next run goes on where one was broken off. All of it takes about 12 minutes of one
core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import typer
from rich.console import Console
from rich.progress import track
from sklearn.datasets import load_diabetes

import zerocost as zc
from zerocost.combine import Combination, as_combination
from zerocost.engine.proxy import names
from zerocost.search.fit_space import fit_space
from zerocost.statistics.bootstrap import percentile_interval, resampled_places
from zerocost.statistics.ranking import kendall, regret_at, spearman

Values = npt.NDArray[np.float64]
RESAMPLES, KEPT, MOST = 2000, 5, 3
TOKENS = "log_synflow,dss,naswot"


def shipped(package: str, file: str) -> pd.DataFrame:
    """A table that comes with a package, which need not be imported for it."""
    found = find_spec(package)
    if found is None:
        raise SystemExit(f"install {package} first, which ships {file}: pip install {package}")
    return pd.read_csv(Path(next(iter(found.submodule_search_locations or []))) / file)


class Data(NamedTuple):
    """A data set: the file that is written for it, and what is done with it."""

    name: str
    make: Callable[[], pd.DataFrame]
    space: str
    source: str
    epochs: int


DATA = (
    Data("diabetes", lambda: load_diabetes(as_frame=True).frame, "mlp", "csv:{}:target", 20),
    Data(
        "diamonds",
        lambda: shipped("plotnine", "data/diamonds.csv").sample(1000, random_state=0),
        "mlp",
        "csv:{}:price",
        15,
    ),
    Data(
        "weather", lambda: shipped("vega_datasets", "_data/seattle-weather.csv"), "tcn", "series:{}:temp_max:14:3", 10
    ),
)


class Measured(NamedTuple):
    """What was measured on a data set: a row an architecture, a column a proxy; and its error, a column a seed."""

    scores: pd.DataFrame
    errors: pd.DataFrame
    failures: dict[str, str]

    @property
    def truth(self) -> Values:
        """What scores should follow: less error is better, and a failed training is worst."""
        return -self.errors.mean(axis=1, skipna=False).fillna(np.inf).to_numpy(np.float64)

    def half(self, first: int) -> Measured:
        """Every second architecture, from the first or the second on."""
        return Measured(self.scores.iloc[first::2], self.errors.iloc[first::2], self.failures)

    def values(self, combination: Combination) -> Values:
        """A combination's scores of the architectures; a proxy that failed on all of them is left out."""
        weights = {name: weight for name, weight in combination.weights.items() if name in self.scores}
        if not weights:
            return np.zeros(len(self.scores))
        return Combination(weights, combination.method)(self.scores).to_numpy(np.float64)


def measure(data: Data, folder: Path, n: int, seeds: int) -> Measured:
    """Score and train the architectures drawn for a data set."""
    file = folder / f"{data.name}.csv"
    if not file.exists():
        data.make().to_csv(file, index=False)
    fitting, validation = zc.data.split(zc.data.load(data.source.format(file)), 0.2, seed=0)
    space, sizes = fit_space(data.space, fitting, zc.tasks.regression)
    drawn = zc.spaces.distinct(space, n, np.random.default_rng(0))
    builders = {str(arch): partial(space.build, arch) for arch in drawn}
    table = zc.rank(builders, fitting, names(), batch=64, progress=False)
    kept = folder / f"{data.name}-errors.csv"
    known = {} if not kept.exists() else pd.read_csv(kept, index_col="arch").T.to_dict("list")
    for name in track([name for name in builders if name not in known], data.name, console=Console(stderr=True)):
        options = {"seeds": range(seeds), "epochs": data.epochs, "progress": False}
        runs = zc.train({name: builders[name]}, train=fitting, validation=validation, **options)
        known[name] = [np.nan if run.metric is None else run.metric for run in runs]
        pd.DataFrame.from_dict(known, orient="index").rename_axis("arch").to_csv(kept)
    errors = pd.DataFrame.from_dict({name: known[name] for name in builders}, orient="index")
    reasons = table.failures.groupby("proxy")["reason"].agg(lambda found: f"{len(found)} of {n}: {found.iloc[0]}")
    scores = table.frame.loc[list(builders), [name for name in names() if name in table.frame]]
    print(f"\n## {data.name}: {data.source.format(file.name)}, space {data.space} for {sizes}, {data.epochs} epochs\n")
    print(f"{len(fitting)} samples to train on, {len(validation)} to validate on")
    return Measured(scores.dropna(axis=1, how="all"), errors, reasons.to_dict())


def cell(values: Values, digits: int = 2) -> str:
    """The interval of resampled values."""
    low, high = percentile_interval(values)
    return f"{low:.{digits}f} to {high:.{digits}f}"


def places(n: int) -> Values:
    """The places of architectures in each resample."""
    return np.concatenate(list(resampled_places(n, RESAMPLES, 0)))


def correlation_rows(scores: dict[str, Values], truth: Values) -> Iterator[str]:
    """The rows of a Markdown table: τ and ρ of each score, and how much higher its τ is than that of "params"."""
    drawn = places(len(truth))
    taus = {name: kendall(value[drawn], truth[drawn]) for name, value in scores.items()}
    for name in sorted(scores, key=lambda name: -np.nan_to_num(kendall(scores[name], truth), nan=-2)):
        tau, rho = (statistic(scores[name], truth) for statistic in (kendall, spearman))
        more = "–" if name == "params" else cell(taus[name] - taus["params"])
        rhos = spearman(scores[name][drawn], truth[drawn])
        yield f"| {name} | {tau:.2f} | {cell(taus[name])} | {rho:.2f} | {cell(rhos)} | {more} |"


def print_correlations(found: Measured) -> None:
    """Every score of a data set against the truth."""
    seeds = found.errors.corr("spearman").iloc[0, -1]
    spread = found.errors.mean(axis=1).quantile([0, 0.25, 0.5, 0.75, 1]).round(4).tolist()
    between = found.errors.mean(axis=1).std()
    within = found.errors.std(axis=1).pow(2).mean() ** 0.5
    print(f"error: least, quartiles, most {spread}; deviation between architectures {between:.4f}, seeds {within:.4f}")
    print(
        f"Spearman's ρ between two seeds: {seeds:.2f}; trainings that failed: {int(found.errors.isna().sum().sum())}\n"
    )
    scores = {"**default**": found.values(zc.combine.default), TOKENS: found.values(as_combination(TOKENS))}
    scores |= {name: found.values(as_combination(name)) for name in found.scores}
    print("| score | Kendall τ | 95 % | Spearman ρ | 95 % | τ more than params, 95 % |\n|---|---|---|---|---|---|")
    print("\n".join(correlation_rows(scores, found.truth)), end="\n\n")
    for name, reason in found.failures.items():
        print(f"failed: {name} on {reason}")


def choose(found: Measured, size: int) -> Combination:
    """The log-rank sum of at most `size` proxies, added one by one while τ rises."""
    chosen: list[str] = []
    best = -2.0
    while len(chosen) < size:
        sums = {name: as_combination([*chosen, name]) for name in found.scores if name not in chosen}
        taus = {name: float(kendall(found.values(one), found.truth)) for name, one in sums.items()}
        name = max(taus, key=lambda name: np.nan_to_num(taus[name], nan=-2))
        if taus[name] <= best:
            break
        best = taus[name]
        chosen.append(name)
    return as_combination(chosen)


def judge(chosen_on: str, judged_on: str, measured: dict[str, Measured]) -> Iterator[str]:
    """Rows of a Markdown table: combinations chosen on one data set, judged on another."""
    found = measured[judged_on]
    drawn = places(len(found.truth))
    beside = {"default": zc.combine.default, "params": as_combination("params"), "flops": as_combination("flops")}
    against = {name: kendall(found.values(one)[drawn], found.truth[drawn]) for name, one in beside.items()}
    combinations = [choose(measured[chosen_on], size) for size in range(1, MOST + 1)]
    for one in {str(one): one for one in combinations}.values():
        value = found.values(one)
        taus = kendall(value[drawn], found.truth[drawn])
        more = " | ".join(cell(taus - other) for other in against.values())
        own = float(kendall(measured[chosen_on].values(one), measured[chosen_on].truth))
        tau = float(kendall(value, found.truth))
        yield f"| {', '.join(one.proxies)} | {chosen_on}, {own:.2f} | {judged_on}, {tau:.2f} | {more} |"


def print_kept(found: Measured) -> None:
    """The errors of the highest scores beside those of random picks."""
    drawn = places(len(found.truth))
    same = np.zeros(len(found.truth))
    print(
        f"| the {KEPT} kept by | mean error | best | best less that of {KEPT} random picks, 95 % |\n|---|---|---|---|"
    )
    for name in ("default", "params", "flops", "random"):
        value = same if name == "random" else found.values(as_combination(name))
        top = np.argsort(-value, kind="stable")[: len(value) if name == "random" else KEPT]
        best = regret_at(value, found.truth, KEPT) - found.truth.max()
        gain = regret_at(value[drawn], found.truth[drawn], KEPT) - regret_at(same[drawn], found.truth[drawn], KEPT)
        print(f"| {name} | {-found.truth[top].mean():.4f} | {best:.4f} | {cell(gain, 4)} |")
    first, last = (found.errors.iloc[:, place] for place in (0, -1))
    again = last[first.nsmallest(KEPT).index].mean()
    print(f"\nthe {KEPT} best at the first seed have {again:.4f} at the last, where the mean is {last.mean():.4f}")


def main(
    folder: Annotated[Path, typer.Argument(help="Where data and trainings are kept.")],
    n: Annotated[int, typer.Option("--n", min=4, help="Architectures of each data set.")] = 60,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each.")] = 2,
) -> None:
    """Score, train and print what follows what."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    measured: dict[str, Measured] = {}
    for data in DATA:
        measured[data.name] = measure(data, folder, n, seeds)
        print_correlations(measured[data.name])
        print_kept(measured[data.name])
    print("\n| chosen | on, its τ | judged on, its τ | τ more than default, 95 % | than params | than flops |")
    print("|---|---|---|---|---|---|")
    tables, series = [data.name for data in DATA if data.space == "mlp"], DATA[-1].name
    halves = {f"{series}, half {half}": measured[series].half(half) for half in (0, 1)}
    for a, b in [*permutations(tables, 2), *permutations(halves, 2)]:
        print("\n".join(judge(a, b, measured | halves)))


if __name__ == "__main__":
    typer.run(main)
