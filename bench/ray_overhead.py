"""What worker processes and Ray cost at 50 ms an item, and what a second one is worth.

    python bench/ray_overhead.py [--milliseconds 50] [--items 100] [--turns 3]

An item is that much processor time. The items are done by one and by two worker processes, and by workers on one and on
two nodes of a Ray cluster on this machine. All take turns, each after it was started; the table has the median over the
turns. *Overhead* is the processor time of the main process and of the workers beyond that of the items,
which other programs on the machine hardly change; *speed* is that of two against one, which needs two idle cores.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple

import ray
import typer
from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

from zerocost.base.pool import Pool
from zerocost.base.workers import Workers


class Turn(NamedTuple):
    """What the items took: seconds, and processor time beyond their own as a part of their own."""

    seconds: float
    overhead: float


def item(seconds: float) -> tuple[int, float, float]:
    """Take this much processor time; gives the process and its processor time at the start and the end."""
    start = time.process_time()
    while (now := time.process_time()) < start + seconds:
        pass
    return os.getpid(), start, now


def do(pool: Pool, seconds: float, items: int) -> Turn:
    """Have a pool do the items, once its workers run."""
    for future in [pool.submit(seconds) for _ in range(20 * pool.size)]:
        future.result()
    start, own = time.perf_counter(), time.process_time()
    done = [future.result() for future in [pool.submit(seconds) for _ in range(items)]]
    took, own = time.perf_counter() - start, time.process_time() - own
    spans = defaultdict[int, list[float]](list)
    for process, *span in done:
        spans[process] += span
    spent = own + sum(max(span) - min(span) for span in spans.values())
    worked = sum(end - begin for _, begin, end in done)
    return Turn(took, spent / worked - 1)


@contextmanager
def all_pools() -> Iterator[dict[str, Pool]]:
    """One and two worker processes; one and two nodes of a Ray cluster."""
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"num_cpus": 2, "include_dashboard": False})
    cluster.add_node(**node)
    try:
        with ExitStack() as stack:
            places = {
                "1 process": Workers(1),
                "2 processes": Workers(2),
                "1 Ray node": Workers(1, ray=cluster.address),
                "2 Ray nodes": Workers(2, ray=cluster.address),
            }
            yield {name: stack.enter_context(closing(place.pool(lambda: item))) for name, place in places.items()}
    finally:
        ray.shutdown()
        cluster.shutdown()


def main(milliseconds: float = 50, items: int = 100, turns: int = 3) -> None:
    """Print the table."""
    seconds = milliseconds / 1e3
    taken = defaultdict[str, list[Turn]](list)
    with all_pools() as pools:
        for _ in range(turns):
            for name, pool in pools.items():
                taken[name].append(do(pool, seconds, items))
    table = Table("", "seconds", "speed", "overhead", box=None)
    for name, one in zip(taken, [name for name in taken if name.startswith("1") for _ in range(2)], strict=True):
        speed = statistics.median(a.seconds / b.seconds for a, b in zip(taken[one], taken[name], strict=True))
        overhead = statistics.median(turn.overhead for turn in taken[name])
        took = statistics.median(turn.seconds for turn in taken[name])
        table.add_row(name, f"{took:.2f}", f"{speed:.2f}", f"{overhead:.1%}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
