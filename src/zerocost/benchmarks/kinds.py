"""What is known of each benchmark before any of its files is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from zerocost import spaces
from zerocost.benchmarks import analog, csv_table, macro, nasbench101, table, transformers, transnas
from zerocost.benchmarks.base import MEAN, Query
from zerocost.spaces import SearchSpace

_Reader = Callable[[Path, SearchSpace, Query], Iterator[table.Row]]


class BenchmarkKind(NamedTuple):
    """What is known of a benchmark before any of its files is opened.

    Attributes:
        default: the query that stands for the benchmark.
        wanted: what it is read from, in words.
        readers: the function that reads a file, by the end of the file's name.
        trainings: the names that the package nats-bench gives its trainings, if it has the benchmark.
        twins: whether it trained one of each set of twins, so that truth is found by the key they share.
        installed: finds the file in an installed package, if one has it.
        space: the name of its space, if it is not the benchmark's.
        sizes: what the space is made for, where that is not its default.
        data: a spec of the default dataset, if it comes with zerocost.
    """

    default: Query
    wanted: str
    readers: Mapping[str, _Reader] = {".csv": csv_table.read_csv}
    trainings: tuple[str, ...] = ()
    twins: bool = False
    installed: Callable[[], Path] | None = None
    space: str | None = None
    sizes: Mapping[str, int] = {}
    data: str | None = None

    def make_space(self, name: str) -> SearchSpace:
        """The space of benchmark `name`."""
        return spaces.get(self.space or name, **self.sizes)


_NATS = 'the object that nats_bench.create(path, "{}", fast_mode=True, verbose=False) returns'
_ACCURACIES = "a CSV with columns arch and test_accuracy"
_TRANSNAS = "a CSV with columns arch and validation_accuracy (the official .pth file is a pickle, which is not loaded)"
_OBJECTS = Query("class_object", "validation_accuracy", 25, MEAN)
_DISTILLED = Query("cifar100", "distilled_accuracy", 300, MEAN)
_PARTS = {".csv": transformers.read_parts}
_VISION = "a CSV with columns {}, and c100_kd_acc or others of Auto-Prox, or with columns arch and distilled_accuracy"
BENCHMARKS = {
    "bert": BenchmarkKind(
        Query("glue", "score", 1, MEAN), "a CSV with columns architecture and glue, or arch and score", _PARTS
    ),
    "darts": BenchmarkKind(
        Query("cifar10", "validation_accuracy", 100, MEAN),
        "a CSV with columns genotype and validation_accuracy",
        twins=True,
    ),
    "digits": BenchmarkKind(
        Query("digits-hard", "test_accuracy", 8, MEAN),
        "the table that comes with zerocost, or a CSV with columns arch and test_accuracy",
        installed=lambda: Path(__file__).with_name("digits.csv"),
        space="cnn",
        sizes={"resolution": 8},
        data="digits-hard",
    ),
    "gpt": BenchmarkKind(
        Query("openwebtext", "perplexity", 1, MEAN),
        "a CSV with columns embed_dim, heads, mlp_ratios, bias and perplexity, or arch and perplexity",
        _PARTS,
    ),
    "macro": BenchmarkKind(
        Query("cifar10", "test_accuracy", 50, MEAN),
        "nas-bench-macro_cifar10.json from https://github.com/xiusu/NAS-Bench-Macro, or a CSV",
        {".csv": csv_table.read_csv, ".json": macro.read_json},
        twins=True,
    ),
    "nasbench101": BenchmarkKind(
        Query("cifar10", "test_accuracy", 108, MEAN),
        "nasbench_only108.tfrecord or nasbench_full.tfrecord (https://github.com/google-research/nasbench), or a CSV",
        {".csv": csv_table.read_csv, ".json": nasbench101.read_json, ".tfrecord": nasbench101.read_tfrecord},
        twins=True,
    ),
    "nasbench201": BenchmarkKind(
        Query("cifar10", "test_accuracy", 200, MEAN),
        f"the extra nasbench201 (pip install 'zerocost[nasbench201]'), {_NATS.format('tss')}, or {_ACCURACIES}",
        {".csv": csv_table.read_csv, ".anb": analog.read_anb},
        ("12", "200"),
        installed=analog.installed_file,
    ),
    "nats_size": BenchmarkKind(
        Query("cifar10", "test_accuracy", 90, MEAN),
        f"{_NATS.format('sss')}, or {_ACCURACIES}",
        trainings=("01", "12", "90"),
    ),
    "pit": BenchmarkKind(_DISTILLED, _VISION.format("base_dim, depth, heads, mlp_ratio"), _PARTS),
    "transnas_macro": BenchmarkKind(_OBJECTS, _TRANSNAS, sizes={"classes": 75}),
    "transnas_micro": BenchmarkKind(
        _OBJECTS,
        _TRANSNAS,
        {".csv": partial(csv_table.read_csv, spell=transnas.cell_text)},
        sizes={"classes": 75},
    ),
    "vit": BenchmarkKind(_DISTILLED, _VISION.format("hidden_dim, heads, mlp_ratios"), _PARTS),
}
