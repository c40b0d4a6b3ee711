"""How well proxies rank transformers that have been trained: decoders, encoders and vision transformers.

    python bench/transformer_scores.py score gpt TRUTH.csv --out SCORES/gpt.csv [--n 150]
    python bench/transformer_scores.py table gpt TRUTH.csv SCORES/gpt.csv

`score` scores networks drawn with seed 0, each once, at a reduced fidelity: all layers, less width, short texts of few
different tokens, or small images of noise. `full_params` counts the parameters of the full networks without their
embeddings; all other scores, sizes too, are those of the reduced ones. `table` compares the scores with the truth in
each column, and for `gpt` also within each width. Intervals are percentiles of 1,000 resamples of architectures.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import typer

import zerocost as zc
from zerocost import combine
from zerocost.combine import Combination
from zerocost.evaluation.evaluate import draw_architectures
from zerocost.proxies.registry import resolve
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.statistics import ranking
from zerocost.statistics.bootstrap import resampled_places
from zerocost.store import Store
from zerocost.tasks import TASKS

NAMES = (
    "params,non_embedding_params,flops,log_synflow,meco_opt,dss,naswot,lnwot,swap,head_confidence,az_expressivity,"
    "az_progressivity,az_trainability,snip,grad_norm,fisher,zico,wrcor,l2_norm,synflow_bn,t_cet,w_pca"
)
IMAGE_NAMES = f"{NAMES},jacob_cov,epe_nas,zen"

COMBINATIONS = {"default": combine.default, "tokens": combine.tokens}
app = typer.Typer(add_completion=False)


class Setting(NamedTuple):
    """How the networks of a space are scored."""

    sizes: dict[str, Any]
    data: str
    fidelity: str
    task: str
    names: str


SETTINGS = {
    "gpt": Setting({"vocabulary": 512}, "tokens:32:512:next", "width=0.25,batch=16", "next_token", NAMES),
    "bert": Setting({"vocabulary": 512}, "tokens:32:512:2", "batch=16", "classification", NAMES),
    "vit": Setting({}, "noise:3x64x64:100", "width=0.25,resolution=64,batch=16", "classification", IMAGE_NAMES),
    "pit": Setting({}, "noise:3x64x64:100", "width=0.5,resolution=64,batch=16", "classification", IMAGE_NAMES),
}


@app.command()
def score(
    name: str,
    truth: Path,
    out: Annotated[Path, typer.Option(help="CSV to write, one row an architecture.")],
    n: int = 150,
    names: str | None = None,
) -> None:
    """Score networks of a table once."""
    torch.set_num_threads(1)
    setting, table = SETTINGS[name], zc.benchmarks.get(name, truth)
    space, scale = zc.spaces.get(name, **setting.sizes), zc.Fidelity.parse(setting.fidelity)
    texts = draw_architectures(space, list(table.architectures()), n, 0)
    proxies = tuple((names or setting.names).split(","))
    batches = draw_job_batches(setting.data, [0], 16, 1, False, scale)
    start = time.perf_counter()
    with (
        Store(None) as store,
        Scorer(Job(space, proxies, batches, scale, None, TASKS[setting.task]), store=store) as run,
    ):
        found = run(texts)
    print(f"{name}: {len(texts)} networks in {time.perf_counter() - start:.0f} s")
    columns = [proxy.name for proxy in resolve(proxies)]
    frame = pd.DataFrame([[found[text, 0][column].value for column in columns] for text in texts], texts, columns)
    for column in columns:
        if reasons := {found[text, 0][column].reason for text in texts} - {None}:
            print(f"{column} failed for {frame[column].isna().sum()}: {min(map(str, reasons))}")
    frame.insert(0, "full_params", [count(space, text) for text in texts])
    frame.rename_axis("arch").to_csv(out)


def count(space: zc.SearchSpace, text: str) -> int:
    """Parameters of the full network without embeddings."""
    with torch.device("meta"):
        network = space.build(space.parse(text))
    tables = {id(m.weight) for m in network.modules() if isinstance(m, torch.nn.Embedding)}
    return sum(p.numel() for p in network.parameters() if id(p) not in tables)


@app.command()
def table(name: str, truth: Path, scores: Path, column: Annotated[list[str], typer.Option()] = []) -> None:  # noqa: B006
    """Print Spearman's and Kendall's correlation of each score with each column of the truth."""
    found, known = pd.read_csv(scores, index_col="arch"), zc.benchmarks.get(name, truth)
    found = found.astype(float).fillna(-np.inf).dropna(axis=1)
    for dataset in known.datasets:
        for metric in known.metrics:
            try:
                values = known.truth(dataset=dataset, metric=metric, epochs=known.default.epochs)
            except zc.InputError:
                continue
            if column and f"{dataset}/{metric}" not in column:
                continue
            values = values[values.index.isin(found.index)] * (-1 if metric in known.less_is_better else 1)
            show(f"{name}, {metric} on {dataset}", found, values)
            widths = values.index.str.split(":").str[0]
            for width in sorted(set(widths), key=int) if name == "gpt" else ():
                show(f"{name}, {metric} on {dataset}, width {width}", found, values[widths == width])


def show(title: str, found: pd.DataFrame, values: pd.Series[float]) -> None:
    """Print one table, best score first; combinations are of the networks in it, of those parts that have scores."""
    found = found.loc[values.index]
    combined = {}
    for name, combination in COMBINATIONS.items():
        weights = {part: weight for part, weight in combination.weights.items() if part in found}
        combined[name] = Combination(weights, combination.method)(found.replace(-np.inf, np.nan))
    found = found.assign(**combined)
    rows, truth = found.loc[values.index].to_numpy().T, values.to_numpy()
    places = np.concatenate([*resampled_places(len(truth), 1000, 0)])
    print(f"\n{title}: {len(truth)} networks")
    results = []
    for column, row in zip(found, rows, strict=True):
        rho = [ranking.spearman(s, t) for s, t in ((row, truth), (row[places], truth[places]))]
        tau = float(ranking.kendall(row, truth))
        low, high = np.nanpercentile(rho[1], (2.5, 97.5)) if np.isfinite(rho[0]) else (np.nan, np.nan)
        results.append((float(rho[0]), f"| `{column}` | {rho[0]:.2f} ({low:.2f} to {high:.2f}) | {tau:.2f} |"))
    print(*[line for _, line in sorted(results, key=lambda one: -np.nan_to_num(one[0], nan=-2))], sep="\n")


if __name__ == "__main__":
    app()
