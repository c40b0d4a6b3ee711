"""Combinations of proxies on a benchmark, without any trained network: agreement with accuracy, and filter then train.

    python bench/combinations.py nasbench201 --data npz:IMAGES.npz --truth TABLE.csv --n 3000 --store scores.db
    python bench/combinations.py darts --data npz:IMAGES.npz --truth TABLE.csv --store scores.db \
        --fidelity width=0.5,resolution=16,batch=32

Architectures are drawn from the table as it is, so twins count as often as they are drawn, as in published figures;
each set of twins is scored once. Kendall's τ and Spearman's ρ have 95 % intervals over 1,000 bootstrap resamples of the
distinct networks. In the second table the best k by score of 1,000 drawn architectures are looked up, 200 times over;
"params" and "random" pick in place of a score.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
import typer
from rich.console import Console
from rich.progress import Progress
from scipy.stats import kendalltau, spearmanr

import zerocost as zc
from zerocost.combine import Combination, as_combination, default
from zerocost.proxies import resolve
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.store import Store

COMBINATIONS = {
    "default": default,
    "default, rank mean": Combination(default.weights, "rank_mean"),
    "default, vote": Combination(default.weights, "vote"),
    "jacob_cov + log_synflow": as_combination("jacob_cov,log_synflow"),
    "AZ-NAS": as_combination("paper:az_nas"),
    "synflow + AZ-NAS": as_combination("paper:az_nas,log_synflow"),
}
VKDNW = "vkdnw_single,jacob_cov,paper:az_expressivity,paper:az_trainability,flops"
KS = (1, 10, 50, 100)
POOL, DRAWS, RESAMPLES = 1000, 200, 1000


def score_all(
    known: zc.benchmarks.Benchmark,
    drawn: pd.Series[float],
    names: list[str],
    data: str,
    fidelity: str,
    store: str | None,
) -> pd.DataFrame:
    """One row an architecture drawn, with its twin's text under "network", one column a proxy."""
    space, scale = known.space, zc.Fidelity.parse(fidelity)
    first: dict[str, str] = {}
    twins = [first.setdefault(space.canonical(space.parse(text)), text) for text in map(str, drawn.index)]
    job = Job(space, tuple(names), draw_job_batches(data, [0], 64, 1, False, scale), scale, None)
    with Store(store) as kept, Scorer(job, store=kept) as score, Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{known.name}, {fidelity}")
        found = score(list(first.values()), progress=lambda done, all_: bar.update(task, completed=done, total=all_))
    columns = [p.name for p in resolve(names)]
    rows = [[found[twin, 0][name].value for name in columns] for twin in twins]
    frame = pd.DataFrame(rows, index=drawn.index, columns=columns, dtype=float)
    return frame.assign(network=twins)


def resamples(networks: pd.Series[str]) -> list[npt.NDArray[np.intp]]:
    """Places of architectures in each resample of the networks."""
    rng = np.random.default_rng(0)
    places = [
        np.asarray(group, np.intp)
        for group in networks.reset_index(drop=True).groupby(networks.to_numpy()).groups.values()
    ]
    return [np.concatenate([places[i] for i in rng.integers(len(places), size=len(places))]) for _ in range(RESAMPLES)]


def interval_text(values: list[float]) -> str:
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{low:.3f} to {high:.3f}"


def correlation_table(
    values: dict[str, npt.NDArray[np.float64]], truth: npt.NDArray[np.float64], drawn: list[npt.NDArray[np.intp]]
) -> list[str]:
    """A Markdown table: τ and ρ of each score with intervals, and its τ less that of the default."""
    lines = ["| score | Kendall τ | 95 % | Spearman ρ | default less this, τ |", "|---|---|---|---|---|"]
    base = [kendalltau(values["default"][places], truth[places]).statistic for places in drawn]
    for name, value in values.items():
        taus = [kendalltau(value[places], truth[places]).statistic for places in drawn]
        less = "–" if name == "default" else interval_text([a - b for a, b in zip(base, taus, strict=True)])
        tau, rho = kendalltau(value, truth).statistic, spearmanr(value, truth).statistic
        lines.append(f"| {name} | {tau:.3f} | {interval_text(taus)} | {rho:.3f} | {less} |")
    return lines


def filter_table(
    scores: dict[str, pd.Series[float] | Combination | None], frame: pd.DataFrame, truth: npt.NDArray[np.float64]
) -> list[str]:
    """A Markdown table: the best accuracy among the k highest of a pool, mean and interval of the mean over pools."""
    rng = np.random.default_rng(1)
    size = min(POOL, len(frame) // 2)
    pools = [rng.choice(len(frame), size, replace=False) for _ in range(DRAWS)]
    lines = [f"| best of k from {size:,} | {' | '.join(f'k = {k}' for k in KS)} |", f"|---|{'---|' * len(KS)}"]
    for name, score in scores.items():
        found = {k: [] for k in KS}
        for pool in pools:
            rows = frame.iloc[pool]
            value = (
                rng.random(size) if score is None else (score(rows) if isinstance(score, Combination) else rows[name])
            )
            order = np.argsort(-np.asarray(value, np.float64), kind="stable")
            for k in KS:
                found[k].append(truth[pool[order[:k]]].max())
        cells = [f"{np.mean(v):.2f} ± {1.96 * np.std(v, ddof=1) / DRAWS**0.5:.2f}" for v in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    best = np.mean([truth[pool].max() for pool in pools])
    return [*lines, f"| the best there is | {' | '.join([f'{best:.2f}'] * len(KS))} |"]


def main(
    benchmark: str,
    data: Annotated[str, typer.Option(help="The images that networks are scored on.")],
    truth: Annotated[Path | None, typer.Option(help="The benchmark's file.")] = None,
    n: Annotated[int, typer.Option(help="Architectures drawn.")] = 3000,
    fidelity: Annotated[str, typer.Option(help="At which they are scored.")] = "full",
    store: Annotated[str | None, typer.Option(help="Keep scores here.")] = None,
    vkdnw: Annotated[
        bool, typer.Option("--vkdnw", help="VKDNW_agg as well, which costs as much as all others.")
    ] = False,
) -> None:
    """Score, and print both tables."""
    known = zc.benchmarks.get(benchmark, truth)
    every = known.truth(**known.default._asdict())
    drawn = every.iloc[np.random.default_rng(0).permutation(len(every))[:n]]
    combinations = COMBINATIONS | ({"VKDNW_agg": as_combination(VKDNW)} if vkdnw else {})
    names = list(dict.fromkeys([*(name for c in combinations.values() for name in c.proxies), "params", "flops"]))
    frame = score_all(known, drawn, names, data, fidelity, store)
    accuracy = drawn.to_numpy(np.float64)
    alone = {name: as_combination(name)(frame).to_numpy() for name in (*default.proxies, "params", "flops")}
    values = {name: combination(frame).to_numpy() for name, combination in combinations.items()} | alone
    failed = int(frame[names].isna().any(axis=1).sum())
    print(
        f"{known.name}: {known.default}; {len(frame):,} of {len(every):,} architectures, {frame.network.nunique():,} "
        f"distinct networks at fidelity {fidelity}, {failed} architectures with a failed score\n"
    )
    print("\n".join(correlation_table(values, accuracy, resamples(frame.network))), end="\n\n")
    print("\n".join(filter_table({**combinations, "params": frame.params, "random": None}, frame, accuracy)))


if __name__ == "__main__":
    typer.run(main)
