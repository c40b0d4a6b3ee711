"""What it costs to send a batch to worker processes, which happens once for each of them.

    python bench/sent_batch.py [--workers 2]

A batch of nothing beside one of 256 images of 224 pixels. Seconds are CPU time: of this process for packing and
sending, and of each worker until it makes its first call, most of which is importing torch.
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from fusion import machine
from zerocost.base.workers import Workers

SHAPES = {"nothing": (0,), "256×3×224×224": (256, 3, 224, 224)}
CALLS = 200


def megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def spent(_batch: torch.Tensor) -> tuple[float, float]:
    """In a worker that has the batch: its CPU seconds and memory until now."""
    return time.process_time(), megabytes()


def main(workers: Annotated[int, typer.Option(min=1, help="How many processes.")] = 2) -> None:
    """What it costs to send a batch to worker processes."""
    table = Table("batch", "MB", "here, s", "each worker, s", "MB of a worker", "ms a call")
    for name, shape in SHAPES.items():
        batch = torch.rand(shape)
        start = time.process_time()
        with closing(Workers(workers).pool(partial(partial, spent, batch))) as pool:
            found = list(pool.each([()] * workers))
            here, begun = time.process_time() - start, time.perf_counter()
            found += pool.each([()] * CALLS)
            call = (time.perf_counter() - begun) / CALLS
        first, memory = min(one for one, _ in found), statistics.median(each for _, each in found)
        figures = (f"{batch.nbytes / 1e6:.0f}", f"{here:.2f}", f"{first:.1f}", f"{memory:.0f}", f"{1000 * call:.2f}")
        table.add_row(name, *figures)
    console = Console(width=120)
    console.print(table)
    console.print(machine())


if __name__ == "__main__":
    typer.run(main)
