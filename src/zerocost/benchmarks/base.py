"""What every benchmark gives: the trained truth of an architecture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from zerocost.base.errors import InputError, unknown
from zerocost.benchmarks.direction import falls
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace

MEAN = "mean"


class Query(NamedTuple):
    """What a number of a benchmark is.

    Attributes:
        dataset: the dataset that the networks were trained on.
        metric: what was measured.
        epochs: the epochs of training; 0 for what training does not change: parameters, FLOPs, latency, energy.
        seed: the seed of the training, or "mean" for the mean over seeds.


    >>> print(Query("cifar10", "test_accuracy", 200, "mean"))
    test_accuracy on cifar10 after 200 epochs, seed mean
    """

    dataset: str
    metric: str
    epochs: int
    seed: int | str

    def __str__(self) -> str:
        return f"{self.metric} on {self.dataset} after {self.epochs} epoch{'s' * (self.epochs != 1)}, seed {self.seed}"


class Table(NamedTuple):
    """The truth of many architectures: `values[i, j]` answers `columns[i]` for `texts[j]`, NaN where it is not known.

    Attributes:
        texts: the architectures, in UTF-8.
        keys: for each, the key that its twins share, in UTF-8; None where twins have truth of their own.
        columns: the queries that have answers.
        values: queries × architectures.
    """

    texts: npt.NDArray[np.bytes_]
    keys: npt.NDArray[np.bytes_] | None
    columns: tuple[Query, ...]
    values: npt.NDArray[np.float64]


class Benchmark:
    """The truth of the architectures of a space, by look-up; `get` makes one.

    Attributes:
        name: the benchmark's name.
        space: the space, for the dataset of `default`.
        default: the query that stands for the benchmark; reported wherever it is used.
        data: the data that its networks were trained on, as a spec for `zerocost.data.load`; None if it does not come
            with zerocost.
        datasets: the datasets that can be queried.
        metrics: the metrics that can be queried.
        epochs: the epochs that can be queried.
        seeds: the seeds that can be queried. Not every combination has an answer.
        less_is_better: the metrics of which less is better: those whose names say so, unless `read` was told.

    Numbers are those of the source, in its units. Accuracies are percentages, except for `nasbench101`, where they are
    from 0 to 1. HW-NAS-Bench's latencies are in milliseconds and its energies in millijoules. Parameters and FLOPs
    from the benchmarks' own files are counts.
    """

    def __init__(self, name: str, space: SearchSpace, table: Table, default: Query, data: str | None = None) -> None:
        self.name, self.space, self.default, self.data = name, space, default, data
        self.datasets = tuple(dict.fromkeys([column.dataset for column in table.columns]))
        self.metrics = tuple(dict.fromkeys([column.metric for column in table.columns]))
        self.less_is_better = tuple(filter(falls, self.metrics))
        self.epochs = tuple(sorted({column.epochs for column in table.columns}))
        self.seeds = tuple(sorted({column.seed for column in table.columns if isinstance(column.seed, int)}))
        self._table = table
        self._rows = {column: [row] for row, column in enumerate(table.columns)}

    def __repr__(self) -> str:
        return f"Benchmark({self.name!r}, {len(self._table.texts)} architectures, {', '.join(self.datasets)})"

    def architectures(self) -> Sequence[str]:
        """The texts of the architectures that have truth, in the order of the table."""
        return self._texts

    def query(
        self,
        arch: Architecture | str,
        *,
        dataset: str | None = None,
        metric: str | None = None,
        epochs: int | None = None,
        seed: int | str = MEAN,
    ) -> float:
        """The truth of one architecture: the answer to `default`, unless another dataset, metric or epochs are given.

        Where the benchmark trained one of each set of twins, the truth of a twin stands for the others.

        Args:
            arch: the architecture or its text.
            dataset: one of `datasets`; that of `default` if None.
            metric: one of `metrics`; that of `default` if None.
            epochs: one of `epochs`; 0 for what training does not change; those of `default` if None.
            seed: one of `seeds`, or "mean": the mean that the source states, else that over the architecture's seeds.

        Raises:
            InputError: `arch` is not of the space or has no truth, or the query is not known; the message says what is.
        """
        query = self._fill(dataset, metric, epochs, seed)
        rows, position = self._find(query), self._position(str(arch))
        value = float(_known_means(self._table.values[rows, position : position + 1])[0])
        if np.isnan(value):
            raise InputError(f"{self.name} has no {query} for {arch}; {self._others(query, position)}")
        return value

    def truth(
        self,
        *,
        dataset: str | None = None,
        metric: str | None = None,
        epochs: int | None = None,
        seed: int | str = MEAN,
    ) -> pd.Series[float]:
        """The truth of every architecture that has it: a series named after its metric, indexed by architecture texts.

        Takes the arguments of `query` and raises its errors.
        """
        query = self._fill(dataset, metric, epochs, seed)
        index = pd.Index(self._texts, name="architecture")
        return pd.Series(_known_means(self._table.values[self._find(query)]), index=index, name=query.metric).dropna()

    def _fill(self, dataset: str | None, metric: str | None, epochs: int | None, seed: int | str) -> Query:
        """A query in which the parts that are None are those of `default`."""
        own = self.default
        return Query(
            own.dataset if dataset is None else dataset,
            own.metric if metric is None else metric,
            own.epochs if epochs is None else epochs,
            seed,
        )

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        return tuple([text.decode() for text in self._table.texts.tolist()])

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {text: position for position, text in enumerate(self._texts)}

    @cached_property
    def _twins(self) -> dict[str, int]:
        """The first architecture with each key."""
        keys = [] if self._table.keys is None else self._table.keys.tolist()
        return {key.decode(): position for position, key in reversed([*enumerate(keys)])}

    def _position(self, text: str) -> int:
        position = self._positions.get(text)
        if position is None:
            position = self._twins.get(self.space.canonical(self.space.parse(text)))
        if position is None:
            raise InputError(
                f"{self.name} has no truth for {text}; architectures() lists the {len(self._texts)} that have it"
            )
        return position

    def _find(self, query: Query) -> list[int]:
        """The rows of the table whose mean answers `query`."""
        if query not in self._rows:
            left: Sequence[Query] = self._table.columns
            for i in range(3):
                known = {column[i] for column in left}
                left = [column for column in left if column[i] == query[i]]
                if not left:
                    raise self._unknown(query, i, known)
            if query.seed != MEAN:
                raise self._unknown(query, 3, {MEAN, *[column.seed for column in left]})
            self._rows[query] = [self._rows[column][0] for column in left]
        return self._rows[query]

    def _unknown(self, query: Query, i: int, known: set[str] | set[int] | set[str | int]) -> InputError:
        """What to say when the `i`-th part of a query is not among those known for the parts before it."""
        kind = f"{self.name} {Query._fields[i]}" + (f" ({', '.join(map(str, query[:i]))})" if i else "")
        if i < 2:
            return unknown(kind, query[i], known, f".{Query._fields[i]}s")
        numbers = sorted([one for one in known if isinstance(one, int)])
        words = [MEAN] if MEAN in known else []
        return InputError(f"unknown {kind} {query[i]!r}. Known: {', '.join(map(str, [*numbers, *words]))}.")

    def _others(self, query: Query, position: int) -> str:
        """What the architecture does have of the same metric."""
        seeds = [
            str(column.seed)
            for column, value in zip(self._table.columns, self._table.values[:, position], strict=True)
            if column[:3] == query[:3] and not np.isnan(value)
        ]
        return f"it has seeds {', '.join(seeds)}" if seeds else "others have"


def _known_means(cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean of each column of a matrix over the entries that are known; NaN where none is."""
    known = ~np.isnan(cells)
    means = np.full(cells.shape[1], np.nan)
    np.divide(np.where(known, cells, 0).sum(0), known.sum(0), out=means, where=known.any(0))
    return means
