"""NATS-Bench and NAS-Bench-201, through the interface object of the package `nats-bench`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from zerocost.benchmarks.base import MEAN, Query
from zerocost.benchmarks.table import Row
from zerocost.spaces.base import SearchSpace

_SETS = {"train": "train", "valid": "validation", "test": "test", "valtest": "valtest"}
_QUANTITIES = {"loss": "loss", "accuracy": "accuracy", "all-time": "seconds"}
_METRICS = {f"{s}-{q}": f"{where}_{what}" for s, where in _SETS.items() for q, what in _QUANTITIES.items()}
"""Our metrics by the package's names; accuracies are percentages."""
_MILLIONS = ("params", "flops")
"""Costs that the package gives in millions; ours are counts."""


@runtime_checkable
class API(Protocol):
    """What is used of the object that `nats_bench.create(file, "tss", fast_mode=True, verbose=False)` returns."""

    def __len__(self) -> int: ...

    def arch(self, index: int) -> str: ...

    def query_by_index(self, arch_index: int, dataname: str | None = None, hp: str = ...) -> Any: ...

    def get_more_info(
        self, index: int, dataset: str, iepoch: int | None = None, hp: str = ..., is_random: bool | int = ...
    ) -> Mapping[str, Any]: ...


def read_api(api: API, space: SearchSpace, epochs: Sequence[str]) -> Iterator[Row]:
    """The rows of every architecture: each training's last loss, accuracy and seconds on each set, and the costs.

    Costs are parameters and FLOPs, counted, and the latency in seconds.

    `epochs` are the trainings to ask for, by the package's names: `"12"`, `"200"`. Seeds are the benchmark's own: 777,
    888, 999. Datasets are, too: `cifar10-valid` was trained on half of CIFAR-10, and validated on the other; `cifar10`
    on all of it. Where a set is split for validation and test, `valtest` is both.
    """
    for index in range(len(api)):
        text = str(space.parse(api.arch(index)))
        values: dict[Query, float] = {}
        for hp in epochs:
            results = api.query_by_index(index, None, hp)
            for dataset in results.get_dataset_names():
                costs = results.get_compute_costs(dataset)
                values |= {Query(dataset, cost, 0, MEAN): float(round(costs[cost] * 1e6)) for cost in _MILLIONS}
                if costs["latency"] is not None:
                    values[Query(dataset, "latency", 0, MEAN)] = float(costs["latency"])
                for seed in results.get_dataset_seeds(dataset):
                    found = api.get_more_info(index, dataset, None, hp, seed)
                    values |= {
                        Query(dataset, metric, int(hp), int(seed)): float(found[theirs])
                        for theirs, metric in _METRICS.items()
                        if found.get(theirs) is not None
                    }
        yield Row(text, values)
