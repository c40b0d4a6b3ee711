"""Tables of truth: made from rows, and kept as a folder of NumPy files that are memory-mapped."""

from __future__ import annotations

import json
import math
import tempfile
from array import array
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zerocost.base.errors import InputError
from zerocost.benchmarks.base import Query, Table

_FORMAT = 1
HEAD, _TEXTS, _KEYS, _VALUES = "table.json", "architectures.npy", "keys.npy", "values.npy"


class Row(NamedTuple):
    """What a source has about one architecture; it may give several rows for one.

    Attributes:
        text: the architecture.
        values: its numbers.
        key: the key that its twins share, if the source has it.
    """

    text: str
    values: Mapping[Query, float]
    key: str | None = None


def table_from_rows(rows: Iterable[Row], key: Callable[[str], str] | None = None) -> Table:
    """The table of all rows, architectures and columns in their order.

    Args:
        rows: what the sources have.
        key: gives the key of an architecture whose row has none; without it, the table has no keys.

    Raises:
        InputError: there is no row, or two different numbers for the same query and architecture.


    >>> accuracy = Query("cifar10", "test_accuracy", 200, 0)
    >>> table_from_rows([Row("a", {accuracy: 91.5}), Row("b", {accuracy: 90.0})]).values
    array([[91.5, 90. ]])
    """
    positions: dict[str, int] = {}
    keys: list[str] = []
    columns: dict[Query, array[float]] = {}
    for text, values, own in rows:
        if not values:
            continue
        position = positions.setdefault(text, len(positions))
        if key and position == len(keys):
            keys.append(own or key(text))
        for query, value in values.items():
            cells = columns.setdefault(query, array("d"))
            cells.extend([math.nan] * (position + 1 - len(cells)))
            if not math.isnan(cells[position]) and cells[position] != value:
                raise InputError(f"two values of {query} for {text}: {cells[position]} and {value}; keep one")
            cells[position] = value
    if not columns:
        raise InputError("no architecture with a number was found")
    for cells in columns.values():
        cells.extend([math.nan] * (len(positions) - len(cells)))
    texts = np.array([text.encode() for text in positions])
    return Table(
        texts,
        np.array([own.encode() for own in keys]) if key else None,
        tuple(columns),
        np.stack([np.frombuffer(cells) for cells in columns.values()]),
    )


def save_table(table: Table, folder: Path, name: str) -> None:
    """Write the table of benchmark `name` to `folder`, whole or not at all; `InputError` where it exists."""
    if folder.exists():
        raise InputError(f"{folder} exists already; remove it, or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        np.save(made / _TEXTS, table.texts)
        np.save(made / _VALUES, table.values)
        if table.keys is not None:
            np.save(made / _KEYS, table.keys)
        head = {"format": _FORMAT, "benchmark": name, "columns": table.columns}
        (made / HEAD).write_text(json.dumps(head), encoding="utf-8")
        made.rename(folder)


def load_table(folder: Path, name: str) -> Table:
    """The table of benchmark `name` in `folder`, with its arrays memory-mapped; `InputError` where there is none."""
    try:
        head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        made, holds = head["format"], head["benchmark"]
        columns = tuple([Query(*column) for column in head["columns"]])
        keys = np.load(folder / _KEYS, mmap_mode="r") if (folder / _KEYS).exists() else None
        table = Table(np.load(folder / _TEXTS, mmap_mode="r"), keys, columns, np.load(folder / _VALUES, mmap_mode="r"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{folder} is a damaged table: {error}; convert its source again") from error
    if made != _FORMAT or holds != name:
        raise InputError(f"{folder} holds benchmark {holds} in format {made}; expected {name} in format {_FORMAT}")
    if table.values.shape != (len(columns), len(table.texts)) or (keys is not None and keys.shape != table.texts.shape):
        raise InputError(f"{folder} is a damaged table: its files do not fit each other; convert its source again")
    return table
