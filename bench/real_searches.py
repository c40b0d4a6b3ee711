"""Whole searches with real trainings, beside what people do otherwise with as many trainings.

    python bench/real_searches.py run darts FOLDER [--seeds 5]
    python bench/real_searches.py run cnn FOLDER
    python bench/real_searches.py run mlp FOLDER
    python bench/real_searches.py show FOLDER
    python bench/real_searches.py why darts FOLDER

Each seed draws its own 100 candidates and its own split of the data, and each way trains 20 networks as
`zerocost.search` does. "random" are the random picks of the search that learns; "most parameters" and "best scores" are
the first 20 of the same 100 candidates; evolution proposes its own. A network that several ways choose is trained once:
its training depends on nothing but the network and the data. `darts` has networks of three cells and 8 channels.

`darts` and `cnn` learn from the training and validation part of the hard digits, 797 images, of which a search holds a
fifth out; the network best on these is judged on the 1,000 images of the test part. `mlp` has the diabetes of
scikit-learn. The next run goes on in FOLDER.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import typer
from scipy.stats import t as student
from sklearn.datasets import load_diabetes

import zerocost as zc
from spend import random_needs
from zerocost.data.hard_digits import hard_digits
from zerocost.data.tensors import StandardImages
from zerocost.search.fit_space import fit_space
from zerocost.search.result import SearchResult
from zerocost.spaces import FULL, Architecture, Fidelity, SearchSpace
from zerocost.train import Run

CANDIDATES, TRAININGS, COUNTS = 100, 20, (5, 10, 20)
LEARNING = "learning"
RANDOM = "random"

app = typer.Typer(add_completion=False)


class Problem(NamedTuple):
    """What is searched, on which data, and for how many epochs networks are trained."""

    space: Callable[[], SearchSpace | str]
    data: Callable[[Path], Any]
    epochs: int
    test: bool = True


def small_darts() -> SearchSpace:
    """Space `darts` with three cells and 8 channels, so that a training takes seconds."""
    space = zc.spaces.get("darts", resolution=8)
    build = space.build

    def build_small(arch: Architecture, fidelity: Fidelity = FULL) -> torch.nn.Module:
        return build(arch, Fidelity(width=0.25, depth=0.4))

    space.build = build_small  # type: ignore[method-assign]
    return space


def digits(_: Path) -> StandardImages:
    """797 hard digits."""
    parts = hard_digits()
    images, targets = (torch.cat([getattr(part, name) for part in parts[:2]]) for name in ("images", "targets"))
    mean, std = parts.train.mean, parts.train.std
    assert mean is not None and std is not None
    return StandardImages(images, targets, mean, std)


def diabetes(folder: Path) -> Any:
    """442 patients."""
    file = folder / "diabetes.csv"
    load_diabetes(as_frame=True).frame.to_csv(file, index=False)
    return zc.data.load(f"csv:{file}:target")


PROBLEMS = {
    "darts": Problem(small_darts, digits, 8),
    "cnn": Problem(lambda: "cnn", digits, 8),
    "mlp": Problem(lambda: "mlp", diabetes, 20, test=False),
}


def test_accuracy(build: Callable[[], torch.nn.Module], run: Run, fitting: StandardImages) -> float:
    """The share of the test images that a trained network reads right; NaN where its training failed."""
    if run.checkpoint is None or run.metric is None:
        return math.nan
    network = build().eval()
    network.load_state_dict(torch.load(run.checkpoint, weights_only=True))
    _, test = fitting.beside(hard_digits().test)
    with torch.no_grad():
        return float((network(test.images).argmax(1) == test.targets).float().mean())


def scoring_seconds(result: SearchResult) -> float:
    """What a search spent on all but training."""
    return sum(stage.seconds for stage in result.stages if stage.name != "train")


def train(name: str, folder: Path, seed: int, builders: dict[str, Any]) -> list[Run]:
    """Train as the search of this seed does, or read what it has trained."""
    problem = PROBLEMS[name]
    fitting, validation = zc.data.split(problem.data(folder), 0.2, seed=seed)
    options = {"epochs": problem.epochs, "device": "cpu", "workdir": folder / f"{name}-{seed}", "progress": False}
    return zc.train(builders, train=fitting, validation=validation, **options)


def search_all(name: str, folder: Path, seed: int) -> Iterator[dict[str, Any]]:
    """The trainings of each way, in order."""
    problem = PROBLEMS[name]
    space, data, workdir = problem.space(), problem.data(folder), folder / f"{name}-{seed}"
    fitting, _ = zc.data.split(data, 0.2, seed=seed)
    settings = {"candidates": CANDIDATES, "epochs": problem.epochs, "seed": seed, "device": "cpu", "workdir": workdir}
    learned = zc.search(space, data, trainings=TRAININGS, keep=TRAININGS, progress=False, **settings)
    evolved = zc.search(space, data, strategy="evolution", trainings=TRAININGS, keep=1, progress=False, **settings)
    frame, scoring = learned.table.frame, scoring_seconds(learned)

    def first(ranked: pd.DataFrame) -> list[Run]:
        names = ranked.index[:TRAININGS]
        return train(name, folder, seed, {text: learned.table.candidates[text] for text in names})

    ways = {
        RANDOM: (learned, learned.random, 0.0),
        "most parameters": (learned, first(frame.sort_values("params", ascending=False, kind="stable")), 0.0),
        "best scores": (learned, first(frame), scoring),
        LEARNING: (learned, learned.survivors, scoring),
        "learning, evolution proposes": (evolved, evolved.survivors, scoring_seconds(evolved)),
    }
    for way, (result, runs, seconds) in ways.items():
        for place, run in enumerate(runs, 1):
            row = {"seed": seed, "way": way, "place": place, "arch": run.name, "metric": run.metric}
            test = test_accuracy(result.table.candidates[run.name], run, fitting) if problem.test else math.nan
            yield row | {"test": test, "seconds": run.seconds, "scoring": seconds}


@app.command()
def run(
    name: str,
    folder: Path,
    seeds: Annotated[int, typer.Option(min=1, help="Searches of each way.")] = 5,
) -> None:
    """Search with each way, and keep what was trained."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(seeds):
        file = folder / f"{name}-{seed}.csv"
        if not file.exists():
            found = pd.DataFrame(search_all(name, folder, seed))
            found.to_csv(file, index=False)
            print(found.groupby("way", sort=False)["metric"].agg(["mean", "max", "min"]).to_string(), flush=True)


def interval(values: Sequence[float], digits: int, signed: bool = False) -> str:
    """The mean over searches and half of its 95 % interval, by Student's t."""
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    text = f"{np.mean(values):{'+' if signed else ''}.{digits}f} ± {half:.{digits}f}"
    return text.replace("-", "−")


@app.command()
def show(folder: Path, digits: Annotated[int, typer.Option(help="Decimals.")] = 3) -> None:
    """What each way found, Markdown."""
    for name, problem in PROBLEMS.items():
        files = sorted(folder.glob(f"{name}-[0-9]*.csv"))
        if len(files) < 2:
            continue
        rows = pd.concat(map(pd.read_csv, files))
        rows["value"] = rows["metric"] if problem.test else -rows["metric"]
        every = rows.drop_duplicates(["seed", "arch"])
        seconds = every["seconds"].mean()
        picks = rows[rows["way"] == RANDOM]
        print(
            f"\n**{name}**, {len(files)} searches: {len(every):,} networks trained, {seconds:.1f} s each; "
            f"between random ones the metric deviates by {picks.groupby('seed')['metric'].std().mean():.{digits}f}\n"
        )
        print_table(rows, seconds, problem.test, digits)


def print_table(rows: pd.DataFrame, seconds: float, tested: bool, digits: int) -> None:
    """A row for each way."""
    sign = 1 if tested else -1
    best = {count: rows[rows["place"] <= count].groupby(["way", "seed"])["value"].max().unstack() for count in COUNTS}
    last = best[TRAININGS]
    picks = rows[rows["way"] == RANDOM].set_index("seed")["value"]
    middle = picks.groupby(level=0).mean()
    heads = ["way", "scores cost", *map(str, COUNTS), *(f"learning is better by, at {n}" for n in COUNTS[1:])]
    heads += ["tested", "random needs"] if tested else ["random needs"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for way, own in rows.groupby("way", sort=False):
        cells = [f"{own['scoring'].mean() / seconds:.1f}"]
        cells += [interval(sign * best[count].loc[way], digits) for count in COUNTS]
        gains = [best[count].loc[LEARNING] - best[count].loc[way] for count in COUNTS[1:]]
        cells += ["–" if way == LEARNING else interval(gain, digits, signed=True) for gain in gains]
        if tested:
            chosen = own.reset_index(drop=True).groupby("seed")["value"].idxmax()
            cells += [interval(own.reset_index(drop=True).loc[chosen, "test"], digits)]
        cells += [random_needs(list(picks - middle.loc[picks.index]), float((last.loc[way] - middle).mean()))]
        print(f"| {way} | {' | '.join(cells)} |")


@app.command()
def why(name: str, folder: Path) -> None:
    """The losses of the random picks, and whether score and size tell them: Spearman's ρ, more is better."""
    torch.set_num_threads(1)
    problem = PROBLEMS[name]
    found = []
    for seed in pd.concat(map(pd.read_csv, folder.glob(f"{name}-[0-9]*.csv")))["seed"].unique():
        rows = pd.read_csv(folder / f"{name}-{seed}.csv").query(f"way == '{RANDOM}'")
        fitting, _ = zc.data.split(problem.data(folder), 0.2, seed=int(seed))
        space, _ = fit_space(problem.space(), fitting, zc.tasks.classification if problem.test else zc.tasks.regression)
        builders = {text: partial(space.build, space.parse(text)) for text in rows["arch"]}
        scores = zc.rank(builders, fitting, seed=int(seed), progress=False).frame
        runs = train(name, folder, int(seed), builders)
        last = pd.DataFrame({run.name: vars(run.epochs[-1]) for run in runs}).T
        metric = pd.Series({run.name: run.metric for run in runs}) * (1 if problem.test else -1)
        reached = pd.DataFrame({"training loss": last["train_loss"], "validation loss": last["validation_loss"]})
        values = {f"mean {column}": reached[column].mean() for column in reached}
        for column in reached:
            for score in ("rank_score", "params"):
                values[f"ρ of {score}, low {column}"] = scores[score].corr(-reached[column], method="spearman")
        found.append(values | {"ρ of rank_score, metric": scores["rank_score"].corr(metric, method="spearman")})
    for label, column in pd.DataFrame(found).items():
        print(f"{label}: {interval(list(column), 2)}")


if __name__ == "__main__":
    app()
