"""A million scores written to a store and asked for again, in SQLite and, where there is a server, in PostgreSQL.

    .ci/with-postgres python bench/store.py [--rows 1000000] [--json]

Five proxies of NAS-Bench-201 cells (and of made-up cells beyond the 15,625), written as a search writes them: some
thousand rows a transaction. A query asks for the scores of a hundred architectures, as a search does before it computes
what is missing. PostgreSQL is the server that ZEROCOST_TEST_POSTGRES names.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

import zerocost as zc
from fusion import machine
from zerocost.combine import default
from zerocost.store import Score, Store

CHUNK = 2_000
"""Architectures a transaction."""
ASKED = 100
"""Architectures a query."""
QUERIES = 50
RUN = "0" * 64
"""A fingerprint."""


def texts() -> Iterator[str]:
    cells = list(map(str, zc.spaces.get("nasbench201")))
    for again in itertools.count():
        yield from cells if not again else (f"{cell}{again}" for cell in cells)


def measure(where: str | Path, rows: int) -> dict[str, float]:
    """Seconds to write these rows, and the milliseconds of the middle and of the slowest query."""
    names = list(itertools.islice(texts(), rows // len(default.proxies)))
    with Store(where) as store:
        start = time.perf_counter()
        for first in range(0, len(names), CHUNK):
            chunk = names[first : first + CHUNK]
            values = {(name, 0, proxy): Score(len(name) / 3, None) for name in chunk for proxy in default.proxies}
            store.add(RUN, values)
        written = time.perf_counter() - start
        waits = []
        for place in range(QUERIES):
            asked = names[place :: (len(names) - QUERIES) // ASKED][:ASKED]
            start = time.perf_counter()
            found = store.known(RUN, asked)
            waits.append(1000 * (time.perf_counter() - start))
            assert len(found) == ASKED * len(default.proxies)
    return {"write_seconds": written, "query_ms": statistics.median(waits), "slowest_query_ms": max(waits)}


def measure_all(rows: int) -> Mapping[str, Mapping[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scores.db"
        found = {"sqlite": measure(file, rows) | {"megabytes": file.stat().st_size / 1e6}}
    if server := os.environ.get("ZEROCOST_TEST_POSTGRES"):
        found["postgresql"] = measure(server, rows)
    return found


def main(
    rows: Annotated[int, typer.Option(min=1000, help="Scores to write.")] = 1_000_000,
    as_data: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Write many scores to a store, and ask for some of them."""
    found = measure_all(rows)
    if as_data:
        print(json.dumps({"machine": machine(), "rows": rows, "stores": found}, indent=2))
        return
    for name, values in found.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in values.items()))
    if "postgresql" not in found:
        print("postgresql: not measured; ZEROCOST_TEST_POSTGRES names no server")


if __name__ == "__main__":
    typer.run(main)
