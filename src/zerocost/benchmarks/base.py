"""What every benchmark answers: the trained truth of an architecture, asked in full."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from zerocost.base.errors import InputError, unknown
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace

MEAN = "mean"


class Query(NamedTuple):
    """What a number is: of which metric, on which dataset, after how many epochs of training, from which seed.

    `epochs` is 0 for what no training changes: parameters, FLOPs, latency, energy. `seed` is a whole number, or
    `"mean"` for the mean over seeds.

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
    """Truth in columns: `values[i, j]` answers `columns[i]` for the architecture `texts[j]`; NaN where nothing does.

    Texts are bytes, in UTF-8. So are `keys`, what twins share; `None` where twins have truth of their own.
    """

    texts: npt.NDArray[np.bytes_]
    keys: npt.NDArray[np.bytes_] | None
    columns: tuple[Query, ...]
    values: npt.NDArray[np.float64]


class Benchmark:
    """The truth of the architectures of a space, by lookup; `get` makes one.

    Attributes:
        name: the benchmark's name.
        space: the space, for the dataset of `default`.
        default: the query that stands for the benchmark where nobody asks a particular one; reported wherever used.
        data: the data its networks were trained on, where that comes with zerocost: a spec for `zerocost.data.load`.
        datasets, metrics, epochs, seeds: what can be asked; not every combination of them has an answer.

    Numbers are those of the source, in its units: accuracies are percentages, but for `nasbench101`, where they are
    from 0 to 1; HW-NAS-Bench's latencies are in milliseconds, its energies in millijoules. Parameters and FLOPs from
    the benchmarks' own files are counts.
    """

    def __init__(self, name: str, space: SearchSpace, table: Table, default: Query, data: str | None = None) -> None:
        self.name, self.space, self.default, self.data = name, space, default, data
        self.datasets = tuple(dict.fromkeys([column.dataset for column in table.columns]))
        self.metrics = tuple(dict.fromkeys([column.metric for column in table.columns]))
        self.epochs = tuple(sorted({column.epochs for column in table.columns}))
        self.seeds = tuple(sorted({column.seed for column in table.columns if isinstance(column.seed, int)}))
        self._table = table
        self._rows = {column: [row] for row, column in enumerate(table.columns)}

    def __repr__(self) -> str:
        return f"Benchmark({self.name!r}, {len(self._table.texts)} architectures, {', '.join(self.datasets)})"

    def architectures(self) -> Sequence[str]:
        """The texts of the architectures that have truth, in the order of the table."""
        return self._texts

    def query(self, arch: Architecture | str, *, dataset: str, metric: str, epochs: int, seed: int | str) -> float:
        """The truth of one architecture.

        `seed` is one of `seeds`, or `"mean"`: the source's own mean where it states one, else the mean over the seeds
        that this architecture has. `epochs` is 0 for what no training changes. A twin answers for an architecture
        that the table does not have where the benchmark trained only one of each set of twins.

        Raises `InputError` when `arch` is not of the space or has no truth, and when nothing of that name is known;
        the message says what is.
        """
        query = Query(dataset, metric, epochs, seed)
        rows, position = self._find(query), self._position(str(arch))
        value = float(_mean(self._table.values[rows, position : position + 1])[0])
        if np.isnan(value):
            raise InputError(f"{self.name} has no {query} for {arch}; {self._others(query, position)}")
        return value

    def truth(self, *, dataset: str, metric: str, epochs: int, seed: int | str = MEAN) -> pd.Series[float]:
        """The truth of every architecture that has it: a series named `metric`, indexed by architecture texts.

        Arguments and errors are those of `query`.
        """
        rows = self._find(Query(dataset, metric, epochs, seed))
        index = pd.Index(self._texts, name="architecture")
        return pd.Series(_mean(self._table.values[rows]), index=index, name=metric).dropna()

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
            return unknown(kind, query[i], map(str, known))
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


def _mean(cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean of each column of a matrix over the entries that are known; NaN where none is."""
    known = ~np.isnan(cells)
    means = np.full(cells.shape[1], np.nan)
    np.divide(np.where(known, cells, 0).sum(0), known.sum(0), out=means, where=known.any(0))
    return means
