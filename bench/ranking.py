"""How well ways of combining scores rank in every space at hand, and what choosing a way on the other spaces gives.

    python bench/ranking.py score TRUTHS SCORES --images npz:IMAGES.npz [--n 300] [--workers 2]
    python bench/ranking.py table TRUTHS SCORES

`score` scores networks of each table once, from seed 0, at a reduced size, and writes SCORES/TABLE.csv. `table` prints
Spearman's correlation of each way with the trained truth, in Markdown: means over a table's tasks, decoders within each
width. Intervals are percentiles of 1,000 resamples of architectures. Thirty cells of NAS-Bench-101, and NAS-Bench-201
at two other sizes, do not count in the means. Below, for each table, the way is taken that is best on average over the
other spaces; then Kendall's correlation within the truth's best tenth, and the regret of the best ten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from scipy.stats import norm, rankdata
from sklearn.linear_model import Ridge

import nasbench201_scores as known
import zerocost as zc
from tables import BESIDE, CONVOLUTIONAL, FIDELITIES, FIDELITY, TRANSFORMERS, open_table, read_scores, truth_columns
from transformer_scores import SETTINGS, Setting
from zerocost.combine import Combination, default, tokens
from zerocost.evaluation.evaluate import draw_architectures
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.statistics.bootstrap import resampled_places
from zerocost.statistics.ranking import regret_at, spearman, top_kendall
from zerocost.store import Store
from zerocost.tasks import TASKS

PARTS = tuple(default.proxies)
WITHOUT_ZEN = tuple(name for name in PARTS if name != "zen")
INSTEAD = ("naswot", "naswot_conv", "swap", "lnwot", "az_expressivity", "l2_norm")
FORMER = tuple("meco" if name == "meco_opt" else name for name in WITHOUT_ZEN)
EXPRESSIVE = tuple("az_expressivity" if name == "az_trainability" else name for name in PARTS)
SINGLE = ("params", "flops", "naswot", "swap", "meco", "zen", "meco_opt", "jacob_cov", "log_synflow", "az_trainability")
COMPARED = tuple(dict.fromkeys([*PARTS, *FORMER, *SINGLE, *INSTEAD]))
SCORED = tuple(dict.fromkeys([*COMPARED, *tokens.proxies]))

Way = Callable[[pd.DataFrame], "pd.Series[float]"]
Scored = tuple[pd.DataFrame, list["pd.Series[float]"]]
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]
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


def one_round(scores: pd.DataFrame) -> pd.Series[float]:
    """Consensus in which each proxy's agreement is that with the plain mean rank of the others."""
    ranks = scores[[*PARTS]].rank()
    rest = {name: ranks.drop(columns=name).mean(axis=1) for name in PARTS}
    found = {name: max(0.0, np.nan_to_num(ranks[name].corr(rest[name], "spearman"))) for name in PARTS}
    return Combination(found)(scores)


def powered(scores: pd.DataFrame) -> pd.Series[float]:
    """Consensus in which a proxy counts by the square root of its agreement."""
    found = zc.combine.agreement(scores[[*PARTS]])
    return Combination({name: value**0.5 for name, value in found.items()})(scores)


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


LEARNT = "learnt on the other spaces"
WAYS: dict[str, Way] = {
    "**consensus (the default)**": default,
    "log-rank": equal(PARTS, "log_rank"),
    "mean rank": equal(PARTS, "rank_mean"),
    "vote": equal(PARTS, "vote"),
    "spectral meta-learner": lambda scores: spectral(scores[[*PARTS]]),
    "consensus given size": consensus_of_rest("params"),
    "consensus, agreement in one round": one_round,
    "consensus, square root of agreement": powered,
    "consensus without `zen`": equal(WITHOUT_ZEN, "consensus"),
    **{f"consensus, `{name}` for `zen`": equal((*WITHOUT_ZEN, name), "consensus") for name in INSTEAD},
    "the former default (log-rank, `meco`)": equal(FORMER, "log_rank"),
    "consensus, `az_expressivity` for `az_trainability`": equal(EXPRESSIVE, "consensus"),
}


def learnt(tables: Mapping[str, Scored], name: str, penalty: float = 10.0) -> pd.Series[float]:
    """Scores of a table by a ridge regression of the truth on the ranks of all proxies and on these times the proxies'
    agreement, fitted to the tables of the other spaces, which count equally; all but agreement as normal quantiles."""
    space = name.split(maxsplit=1)[0]
    others = [table for other, table in tables.items() if other.split()[0] != space and other not in BESIDE]
    rows, targets, weights = [], [], []
    for frame, columns in others:
        for column in columns:
            at = column.notna().to_numpy()
            rows.append(evidence(frame[at]))
            targets.append(normal_quantiles(column[at].to_numpy()[:, None])[:, 0])
            weights.append(np.full(at.sum(), 1000 / at.sum() / len(columns)))
    ridge = Ridge(penalty, fit_intercept=False)
    ridge.fit(np.concatenate(rows), np.concatenate(targets), sample_weight=np.concatenate(weights))
    return pd.Series(ridge.predict(evidence(tables[name][0])), tables[name][0].index)


def evidence(frame: pd.DataFrame) -> np.ndarray:
    """The quantile of each proxy's rank, 0 where it has none, and these times the proxy's agreement with the rest."""
    known_ones = frame[[*COMPARED]].astype(float).fillna(-np.inf)
    quantiles = normal_quantiles(known_ones.to_numpy()) * (known_ones.nunique() > 1).to_numpy()
    agreed = zc.combine.agreement(known_ones.rank())
    return np.hstack([quantiles, quantiles * [agreed.get(name, 0.0) for name in SCORED]])


def normal_quantiles(values: np.ndarray) -> np.ndarray:
    """The normal quantile of each value's rank in its column."""
    return np.asarray(norm.ppf((rankdata(values, axis=0) - 0.5) / len(values)))


def setting(name: str, images: str) -> Setting:
    """How the networks of a table are scored."""
    data = "digits-hard" if name == "digits" else images
    return SETTINGS.get(name) or Setting({}, data, FIDELITIES.get(name, FIDELITY), "classification", "")


def score_networks(
    name: str,
    space: zc.spaces.SearchSpace,
    texts: list[str],
    proxies: Sequence[str],
    seed: int,
    images: str,
    workers: int,
) -> pd.DataFrame:
    """Scores of networks of a table from a seed: a row an architecture, a column a proxy."""
    chosen = setting(name, images)
    scale = zc.Fidelity.parse(chosen.fidelity)
    batches = draw_job_batches(chosen.data, [seed], 64, 1, False, scale)
    job = Job(space, tuple(proxies), batches, scale, None, TASKS[chosen.task])
    with Store(None) as store, Scorer(job, store=store, workers=workers) as run:
        found = run(texts)
    rows = [[found[text, seed][column].value for column in proxies] for text in texts]
    return pd.DataFrame(rows, pd.Index(texts, name="arch"), [*proxies])


def space_of(name: str, truths: Path) -> zc.spaces.SearchSpace:
    """The space of a table, its networks of the size that they are scored at."""
    return zc.spaces.get(name, **SETTINGS[name].sizes) if name in TRANSFORMERS else open_table(name, truths).space


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
    for name in CONVOLUTIONAL + TRANSFORMERS + BESIDE:
        kind = name.split()[0]
        space = space_of(kind, truths)
        every = known.distinct() if kind == "nasbench201" else open_table(kind, truths).architectures()
        texts = list(map(str, draw_architectures(space, list(every), n, 0)))
        score_networks(name, space, texts, SCORED, 0, images, workers).to_csv(scores / f"{name}.csv")
        print(name, len(texts), flush=True)


def correlations(values: pd.Series[float], columns: list[pd.Series[float]], measure: Measure = spearman) -> np.ndarray:
    """The mean of Spearman's correlation, or of another measure, over the columns: of all networks, then of each
    resample."""
    results = []
    for column in columns:
        known_ones = column.notna().to_numpy()
        found, truth = values.to_numpy()[known_ones], column.to_numpy()[known_ones]
        places = np.concatenate([*resampled_places(len(truth), 1000, 0)])
        results.append([float(measure(found, truth)), *measure(found[places], truth[places])])
    return np.nan_to_num(np.mean(results, axis=0))


def read_tables(truths: Path, scores: Path) -> dict[str, Scored]:
    """Scores and truth of each table; of decoders, one table a width, since across widths size decides."""
    tables = {}
    for name in CONVOLUTIONAL + TRANSFORMERS + BESIDE:
        frame, kind = read_scores(name, scores), name.split()[0]
        columns = list(truth_columns(open_table(kind, truths), kind, frame.index).values())
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
    values = {way: {name: rank(frame) for name, (frame, _) in tables.items()} for way, rank in ways.items()}
    values[LEARNT] = {name: learnt(tables, name) for name in tables}
    found = {way: {n: correlations(of[n], t[1]) for n, t in tables.items()} for way, of in values.items()}
    middle = pd.DataFrame({way: {name: row[0] for name, row in of.items()} for way, of in found.items()}).T
    images, every = [*CONVOLUTIONAL], [name for name in tables if name not in BESIDE]
    first, groups = next(iter(found.values())), {"CNNs": images, "all": every}
    sizes = " | ".join(f"{name} ({len(frame)})" for name, (frame, _) in tables.items())
    print(f"| way | mean, CNNs | least, CNNs | mean, all | less the first | {sizes} |")
    print("|---|" + "---|" * (4 + len(tables)))
    for way, of in found.items():
        mean = {title: np.mean([of[name] for name in names], axis=0) for title, names in groups.items()}
        less = np.mean([of[name] - first[name] for name in every], axis=0)
        means = (interval(mean["CNNs"]), f"{middle.loc[way, images].min():.2f}", interval(mean["all"]), interval(less))
        cells = [interval(row) for row in of.values()]
        print("|", " | ".join([way, *means, *cells]), "|")
    for title, among in (("way", list(WAYS)), ("single proxy", list(ways)[len(WAYS) :])):
        others = {name: [other for other in every if other.split()[0] != name.split()[0]] for name in every}
        picked = {name: middle.loc[among, others[name]].mean(axis=1).idxmax() for name in every}
        reached = pd.Series({name: middle.loc[way, name] for name, way in picked.items()})
        print(f"\n{title} chosen on the other tables: CNNs {reached[images].mean():.3f}, all {reached.mean():.3f}")
        print(pd.Series(picked).value_counts().to_dict())
    print_best({name: tables[name] for name in every}, values)


def print_best(tables: Mapping[str, Scored], values: Mapping[str, Mapping[str, pd.Series[float]]]) -> None:
    """Print how each way orders the best tenth, and what its best ten hold, as means over the tables."""
    print("\n| way | τ in the best tenth | of it the CNNs | regret of the best ten | of it the CNNs |")
    print("|---|" + "---|" * 4)
    for way, of in values.items():
        cells = []
        for measure in (top_kendall, regret):
            rows = {name: correlations(of[name], table[1], measure) for name, table in tables.items()}
            groups = rows, [name for name in rows if name in CONVOLUTIONAL]
            cells += [interval(np.mean([rows[name] for name in names], axis=0)) for names in groups]
        print(f"| {way} | " + " | ".join(cells) + " |")


def regret(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How far the best of the ten best scores stays below the best of all, in standard deviations of the truth."""
    return regret_at(scores, truth, 10) / truth.std(axis=-1)


if __name__ == "__main__":
    app()
