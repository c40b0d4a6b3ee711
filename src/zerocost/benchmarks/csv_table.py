"""Truth in a CSV: a column of architectures, and a column for each metric."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zerocost.base.errors import InputError
from zerocost.benchmarks.base import MEAN, Query
from zerocost.benchmarks.table import Row
from zerocost.spaces.base import SearchSpace

ARCHITECTURE = ("arch", "architecture", "genotype")
_NO_METRIC = {*ARCHITECTURE, "", "index", "dataset", "epochs"}
UNTRAINED = re.compile(r"(.*_)?(params|flops|latency|energy|intensity)")
_SEEDS, _MEANS = "_seeds", "_mean"


def read_csv(path: Path, space: SearchSpace, default: Query, spell: Callable[[str], str] = str) -> Iterator[Row]:
    """The rows of a CSV with a heading.

    A column `arch`, `architecture` or `genotype` holds the architecture's text, or what `spell` converts to it. Columns
    `dataset` and `epochs` say what a line is about; without them it is about those of `default`. A column `index` is
    ignored. Every other column is a metric:

    - `NAME_seeds`: numbers separated by spaces, one a training; the trainings are seeds 0, 1, 2, …
    - `NAME_mean`, or just `NAME`: the mean over trainings, or the number of the only one.

    Parameters, FLOPs and metrics that end in latency, energy or intensity do not depend on training: their epochs are
    0. An empty cell is an unknown number.

    Raises:
        InputError: a line cannot be read; the message names it.
    """
    with open_csv(path) as lines:
        architecture, metrics = _columns(lines.fieldnames or ())
        for line in whole_lines(lines):
            dataset, epochs = line.get("dataset") or default.dataset, int(line.get("epochs") or default.epochs)
            values: dict[Query, float] = {}
            for metric in metrics:
                values |= _cell(metric, line[metric], dataset, epochs)
            yield Row(str(space.parse(spell(line[architecture]))), values)


@contextmanager
def open_csv(path: Path) -> Iterator[csv.DictReader[str]]:
    """A CSV with a heading; what is wrong with the line that was read last becomes an `InputError` that names it."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        try:
            yield lines
        except (ValueError, TypeError, csv.Error) as error:
            raise InputError(f"line {lines.line_num} of {path}: {error}") from error


def whole_lines(lines: csv.DictReader[str]) -> Iterator[dict[str, str]]:
    """The lines; `ValueError` for one that has not as many cells as the heading."""
    for line in lines:
        if None in line or None in line.values():
            raise ValueError(f"expected {len(lines.fieldnames or ())} cells, as in the heading")
        yield line


def _columns(heading: Sequence[str]) -> tuple[str, list[str]]:
    """The column of architectures, and those of metrics."""
    architecture = next((name for name in ARCHITECTURE if name in heading), None)
    metrics = [name for name in heading if name not in _NO_METRIC]
    if architecture is None or not metrics:
        raise InputError(
            f"expected a heading with a column {', '.join(ARCHITECTURE[:-1])} or {ARCHITECTURE[-1]} and one for each "
            f"metric, but got {', '.join(heading) or 'none'}"
        )
    return architecture, metrics


def _cell(column: str, cell: str, dataset: str, epochs: int) -> dict[Query, float]:
    metric = column.removesuffix(_SEEDS).removesuffix(_MEANS)
    query = Query(dataset, metric, 0 if UNTRAINED.fullmatch(metric) else epochs, MEAN)
    if column.endswith(_SEEDS):
        return {query._replace(seed=seed): finite_number(column, part) for seed, part in enumerate(cell.split())}
    return {query: finite_number(column, cell)} if cell.strip() else {}


def finite_number(column: str, cell: str) -> float:
    """A finite number; `ValueError` for any other text."""
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"column {column} must hold finite numbers, or nothing, but has {cell.strip()!r}")
    return number
