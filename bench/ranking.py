"""How well ways of combining scores rank in every space at hand, and what choosing a way on the other spaces gives.

    python bench/ranking.py score TRUTHS SCORES --images npz:IMAGES.npz [--n 300] [--workers 2]
    python bench/ranking.py table TRUTHS SCORES

`score` scores networks of each table once, from seed 0, at a reduced size, and writes SCORES/TABLE.csv. `table` prints
Spearman's correlation of each way with the trained truth, in Markdown: means over a table's tasks, decoders within each
width. Intervals are percentiles of 1,000 resamples of architectures. The last lines take, for each table, the way that
is best on average over the others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

import nasbench201_scores as known
import zerocost as zc
from loop import FIDELITIES, FIDELITY, FILES
from transformer_scores import SETTINGS, Setting
from zerocost.combine import Combination, default
from zerocost.evaluation.evaluate import draw_architectures
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.statistics.bootstrap import resampled_places
from zerocost.statistics.ranking import spearman
from zerocost.store import Store
from zerocost.tasks import TASKS
from zerocost.tasks.metrics import truth_falls

CONVOLUTIONAL = ("nasbench201", "macro", "darts", "transnas_micro", "transnas_macro", "digits")
TRANSFORMERS = ("bert", "gpt", "vit", "pit")
TRUTHS = FILES | {"vit": "autoformer-vit-sample.csv", "pit": "pit-vit-sample.csv"}
PARTS = tuple(default.proxies)
FORMER = tuple("meco" if name == "meco_opt" else name for name in PARTS)
SINGLE = ("params", "flops", "naswot", "swap", "meco", "meco_opt", "jacob_cov", "log_synflow", "az_trainability")
SCORED = tuple(dict.fromkeys([*PARTS, *FORMER, *SINGLE, "az_expressivity", "lnwot", "l2_norm"]))

Way = Callable[[pd.DataFrame], "pd.Series[float]"]
app = typer.Typer(add_completion=False)


def spectral(scores: pd.DataFrame) -> pd.Series[float]:
    """The spectral meta-learner (Parisi et al., PNAS 2014) on ranks: weights fit the correlations between proxies."""
    kept = scores.dropna(axis=1, how="all")
    correlations = np.nan_to_num(kept.corr("spearman").to_numpy())
    np.fill_diagonal(correlations, 0)
    weights = np.zeros(len(kept.columns))
    for _ in range(50):
        values, vectors = np.linalg.eigh(correlations + np.diag(weights**2))
        weights = vectors[:, -1] * np.sqrt(max(values[-1], 0)) * (np.sign(vectors[:, -1].sum()) or 1)
    return Combination(dict(zip(kept, np.clip(weights, 0, 1), strict=True)))(scores)


def equal(parts: tuple[str, ...], method: str) -> Way:
    """A combination of equal weights."""
    return Combination(dict.fromkeys(parts, 1.0), method)


def consensus_of_rest(size: str) -> Way:
    """Consensus on ranks from which a straight line in the rank of size was taken."""

    def way(scores: pd.DataFrame) -> pd.Series[float]:
        ranks = scores[[*PARTS]].rank()
        measure = scores[size].rank()
        slopes = ranks.apply(lambda column: column.cov(measure) / measure.var())
        rest = ranks - np.outer(measure - measure.mean(), slopes)
        weights = {name: min(1.0, value) for name, value in zc.combine.agreement(rest).items()}
        return Combination(weights)(scores) if any(weights.values()) else equal(PARTS, "log_rank")(scores)

    return way


WAYS: dict[str, Way] = {
    "**consensus (the default)**": default,
    "log-rank": equal(PARTS, "log_rank"),
    "mean rank": equal(PARTS, "rank_mean"),
    "vote": equal(PARTS, "vote"),
    "spectral meta-learner": lambda scores: spectral(scores[[*PARTS]]),
    "consensus given size": consensus_of_rest("params"),
    "the former default (log-rank, `meco`)": equal(FORMER, "log_rank"),
    "its parts by consensus": equal(FORMER, "consensus"),
}


def setting(name: str, images: str) -> Setting:
    """How the networks of a table are scored."""
    data = "digits-hard" if name == "digits" else images
    return SETTINGS.get(name) or Setting({}, data, FIDELITIES.get(name, FIDELITY), "classification", "")


@app.command()
def score(
    truths: Path,
    scores: Path,
    images: Annotated[str, typer.Option(help="CIFAR-10 images, for the convolutional spaces.")],
    n: Annotated[int, typer.Option(help="Networks of a table, drawn at random.")] = 300,
    workers: int = 2,
) -> None:
    """Score networks of every table."""
    torch.set_num_threads(1)
    scores.mkdir(exist_ok=True)
    for name in CONVOLUTIONAL + TRANSFORMERS:
        chosen, benchmark = setting(name, images), open_table(name, truths)
        space = zc.spaces.get(name, **chosen.sizes) if name in TRANSFORMERS else benchmark.space
        every = list(known.distinct() if name == "nasbench201" else benchmark.architectures())
        texts = list(map(str, draw_architectures(space, every, n, 0)))
        scale = zc.Fidelity.parse(chosen.fidelity)
        batches = draw_job_batches(chosen.data, [0], 64, 1, False, scale)
        job = Job(space, SCORED, batches, scale, None, TASKS[chosen.task])
        with Store(None) as store, Scorer(job, store=store, workers=workers) as run:
            found = run(texts)
        rows = [[found[text, 0][column].value for column in SCORED] for text in texts]
        pd.DataFrame(rows, pd.Index(texts, name="arch"), SCORED).to_csv(scores / f"{name}.csv")
        print(name, len(texts), flush=True)


def open_table(name: str, truths: Path) -> zc.benchmarks.Benchmark:
    """A benchmark, from its file unless it comes with zerocost."""
    return zc.benchmarks.get(name, truths / TRUTHS[name] if TRUTHS[name] else None)


def truth_columns(benchmark: zc.benchmarks.Benchmark, name: str, texts: pd.Index[str]) -> list[pd.Series[float]]:
    """What training gave, one column a task; higher is better."""
    query = benchmark.default
    datasets = benchmark.datasets if name in {"vit", "pit"} else [query.dataset]
    metrics = benchmark.metrics if name in {"vit", "pit"} or name.startswith("transnas") else [query.metric]
    columns = []
    for dataset in datasets:
        for metric in metrics:
            try:
                values = benchmark.truth(**query._asdict() | {"dataset": dataset, "metric": metric})
            except zc.InputError:
                continue  # not every data set has every metric
            values = values[~values.index.duplicated()].reindex(texts)
            columns.append(-values if truth_falls(metric) else values)
    return columns


def correlations(values: pd.Series[float], columns: list[pd.Series[float]]) -> np.ndarray:
    """The mean of Spearman's correlation over the columns: of all networks, then of each resample."""
    results = []
    for column in columns:
        known_ones = column.notna().to_numpy()
        found, truth = values.to_numpy()[known_ones], column.to_numpy()[known_ones]
        places = np.concatenate([*resampled_places(len(truth), 1000, 0)])
        results.append([float(spearman(found, truth)), *spearman(found[places], truth[places])])
    return np.nan_to_num(np.mean(results, axis=0))


def read_tables(truths: Path, scores: Path) -> dict[str, tuple[pd.DataFrame, list[pd.Series[float]]]]:
    """Scores and truth of each table; of decoders, one table a width, since across widths size decides."""
    tables = {}
    for name in CONVOLUTIONAL + TRANSFORMERS:
        frame = pd.read_csv(scores / f"{name}.csv", index_col="arch", dtype={"arch": str})
        columns = truth_columns(open_table(name, truths), name, frame.index)
        widths = frame.index.str.split(":").str[0]
        for width in sorted(set(widths), key=int) if name == "gpt" else [""]:
            rows = widths == width if width else np.ones(len(frame), bool)
            tables[f"{name} {width}".strip()] = (frame[rows], [column[rows] for column in columns])
    return tables


def interval(row: np.ndarray) -> str:
    """The first value, and the 95 % interval of the others."""
    low, high = np.percentile(row[1:], (2.5, 97.5))
    return f"{row[0]:.2f} ({low:.2f} to {high:.2f})"


@app.command("table")
def print_table(truths: Path, scores: Path) -> None:
    """Print Spearman's correlation of each way in each table."""
    tables = read_tables(truths, scores)
    ways = WAYS | {f"`{name}`": equal((name,), "log_rank") for name in SINGLE}
    found = {way: {name: correlations(rank(t[0]), t[1]) for name, t in tables.items()} for way, rank in ways.items()}
    middle = pd.DataFrame({way: {name: row[0] for name, row in of.items()} for way, of in found.items()}).T
    images = [name for name in tables if name in CONVOLUTIONAL]
    first, groups = next(iter(found.values())), {"CNNs": images, "all": list(tables)}
    sizes = " | ".join(f"{name} ({len(frame)})" for name, (frame, _) in tables.items())
    print(f"| way | mean, CNNs | least, CNNs | mean, all | less the first | {sizes} |")
    print("|---|" + "---|" * (4 + len(tables)))
    for way, of in found.items():
        mean = {title: np.mean([of[name] for name in names], axis=0) for title, names in groups.items()}
        less = np.mean([of[name] - first[name] for name in tables], axis=0)
        means = (interval(mean["CNNs"]), f"{middle.loc[way, images].min():.2f}", interval(mean["all"]), interval(less))
        cells = [interval(row) for row in of.values()]
        print("|", " | ".join([way, *means, *cells]), "|")
    for title, among in (("way", list(WAYS)), ("single proxy", list(ways)[len(WAYS) :])):
        picked = {name: middle.loc[among].drop(columns=name).mean(axis=1).idxmax() for name in tables}
        values = pd.Series({name: middle.loc[way, name] for name, way in picked.items()})
        print(f"\n{title} chosen on the other tables: CNNs {values[images].mean():.3f}, all {values.mean():.3f}")
        print(pd.Series(picked).value_counts().to_dict())


if __name__ == "__main__":
    app()
