"""Rank correlations that papers printed, `published.csv`, as a table for a proxy or an aggregate."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rst import table

FILE = Path(__file__).parents[1] / "published.csv"
STATISTICS = {"kendall": "τ", "spearman": "ρ"}
APART = 0.1


class Number(NamedTuple):
    """A correlation of scores with performance after training, and the paper that printed it.

    `rerun_of` is the paper the proxy comes from, where another one printed the number.
    """

    proxy: str
    space: str
    dataset: str
    statistic: str
    value: str
    source: str
    rerun_of: str


def read() -> list[Number]:
    """All of them."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return [Number(**row) for row in csv.DictReader(file)]


NUMBERS = read()


def published(*names: str) -> str:
    """Table of what was printed about the proxies of these names; empty where nothing was."""
    numbers = [n for name in names for n in NUMBERS if n.proxy == name]
    rows: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for n in numbers:
        source = n.source + (" (rerun)" if n.rerun_of else "")
        rows.setdefault((n.proxy, n.space, n.dataset, source), {})[n.statistic] = n.value
    told: list[tuple[str, ...]] = []
    last: tuple[str, ...] = ()
    for (proxy, space, dataset, source), found in rows.items():
        place = (f"``{proxy}``", space, dataset)
        repeated = [new if place[: i + 1] != last[: i + 1] else "" for i, new in enumerate(place)]
        told.append((*repeated, *(found.get(s, "").replace("-", "−") for s in STATISTICS), source))
        last = place
    headings = ("aggregate", "space", "dataset or task", *STATISTICS.values(), "printed by")
    if len(names) > 1:
        return table(headings, told, "14 20 18 8 8 32")
    return table(headings[1:], [row[1:] for row in told], "24 22 8 8 38") if told else ""


def disagreements(numbers: Iterable[Number]) -> list[str]:
    """Where papers are far apart, in words."""
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for n in numbers:
        values.setdefault((n.space, n.dataset), {}).setdefault(n.statistic, []).append(float(n.value))
    told = []
    for (space, dataset), found in values.items():
        ranges = [
            f"{STATISTICS[statistic]} from {min(v):.2f} to {max(v):.2f}"
            for statistic, v in found.items()
            if max(v) - min(v) > APART
        ]
        if ranges:
            told.append(f"{space}, {dataset} ({' and '.join(ranges)})".replace("-0.", "−0."))
    return told
