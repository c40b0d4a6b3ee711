"""Tables of trained networks: their files, how their networks are scored, and what training gave."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import zerocost as zc
from zerocost.combine import Combination, default, tokens

FILES = {
    "nasbench201": "nasbench201-cifar10.csv",
    "nasbench101": "nasbench101-sample.json",
    "macro": "nasbench-macro-cifar10-sample.json",
    "darts": "darts-cifar10-sample.csv",
    "transnas_micro": "transnas101-micro-sample.csv",
    "transnas_macro": "transnas101-macro-sample.csv",
    "digits": "",
    "bert": "bert-glue-sample.csv",
    "gpt": "gpt-s-openwebtext-sample.csv",
    "vit": "autoformer-vit-sample.csv",
    "pit": "pit-vit-sample.csv",
}
TRANSFORMERS = ("bert", "gpt", "vit", "pit")
OF_TOKENS = ("bert", "gpt")
BESIDE = ("nasbench101", "nasbench201 full", "nasbench201 small")
"""Tables that count in no mean: one of 30 networks, and networks that are scored at other sizes too."""
CONVOLUTIONAL = tuple(name for name in FILES if name not in (*TRANSFORMERS, *BESIDE))
FIDELITY = "width=0.5,resolution=16,batch=32"
FIDELITIES = {
    "digits": "batch=32",
    "nasbench201 full": "full",
    "nasbench201 small": "width=0.5,depth=0.2,resolution=8,batch=16",
}


def open_table(name: str, truths: Path) -> zc.benchmarks.Benchmark:
    """A benchmark, from its file unless it comes with zerocost."""
    return zc.benchmarks.get(name, truths / FILES[name] if FILES[name] else None)


def default_for(name: str) -> Combination:
    """What a search ranks the networks of a table by, unless it is told."""
    return tokens if name in OF_TOKENS else default


def read_scores(name: str, scores: Path) -> pd.DataFrame:
    """What was scored of a table: a row an architecture, a column a proxy."""
    frame = pd.read_csv(scores / f"{name}.csv", index_col=0, dtype={0: str}).rename_axis("arch")
    return frame[~frame.index.duplicated()]


def truth_columns(benchmark: zc.benchmarks.Benchmark, name: str, texts: pd.Index[str]) -> dict[str, pd.Series[float]]:
    """What training gave, one column a task; higher is better."""
    query = benchmark.default
    datasets = benchmark.datasets if name in {"vit", "pit"} else [query.dataset]
    metrics = benchmark.metrics if name in {"vit", "pit"} or name.startswith("transnas") else [query.metric]
    columns = {}
    for dataset in datasets:
        for metric in metrics:
            try:
                values = benchmark.truth(**query._asdict() | {"dataset": dataset, "metric": metric})
            except zc.InputError:
                continue  # not every data set has every metric
            values = values[~values.index.duplicated()].reindex(texts)
            columns[f"{metric} on {dataset}"] = -values if metric in benchmark.less_is_better else values
    return columns
