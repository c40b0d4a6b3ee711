"""What scoring all of NAS-Bench-201 costs the way of its peers, beside ours.

    python bench/peer_way.py npz:IMAGES.npz [--cells 40] [--fidelity width=0.5,depth=0.2,resolution=16,batch=32]

The peers' way is a run for each proxy of the default, which builds the network and scores it, and that for every
cell. Ours is one run for all proxies, and twins once. The formulas are the same, so that only the way differs. Cells
are drawn at random, and each is scored both ways in turn; one of k twins counts a k-th in ours. CPU time of one thread,
which other processes disturb little.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

import zerocost as zc
from fusion import machine, seconds
from zerocost.combine import default
from zerocost.proxies.registry import resolve
from zerocost.run import Job, draw_job_batches

SIZE = "width=0.5,depth=0.2,resolution=16,batch=32"


def measure(data: str, cells: int, fidelity: zc.Fidelity) -> tuple[list[float], list[float], list[int]]:
    """For each cell drawn, the CPU seconds of the peers' way and of ours, and how many twins it is one of."""
    torch.set_num_threads(1)
    space = zc.spaces.get("nasbench201")
    twins = Counter(map(space.canonical, space))
    batches = draw_job_batches(data, [0], 64, 1, False, fidelity)
    job = Job(space, tuple(default.proxies), batches, fidelity, None)
    proxies = resolve(job.proxies)

    def spent(text: str, names: frozenset[str]) -> float:
        return seconds(partial(job.score, proxies, (text, 0), names))

    names = [frozenset([proxy.name]) for proxy in proxies]
    together = frozenset[str]().union(*names)
    chosen = random.Random(0).sample(list(space), cells)
    spent(str(chosen[0]), together)  # what is done once in a process is not part of the cost
    peers, ours = [], []
    for arch in chosen:
        peers.append(sum(spent(str(arch), name) for name in names))
        ours.append(spent(str(arch), together))
    return peers, ours, [twins[space.canonical(arch)] for arch in chosen]


def main(
    data: Annotated[str, typer.Argument(help="Where the batch comes from.")],
    cells: Annotated[int, typer.Option(help="How many are drawn.")] = 40,
    fidelity: Annotated[str, typer.Option(help="The size of the networks.")] = SIZE,
) -> None:
    """All of NAS-Bench-201 the way of its peers, beside ours."""
    peers, ours, twins = measure(data, cells, zc.Fidelity.parse(fidelity))
    count = zc.spaces.get("nasbench201").size
    rows = {
        "each proxy alone, every cell": peers,
        "all proxies together, every cell": ours,
        "all proxies together, twins once": [spent / k for spent, k in zip(ours, twins, strict=True)],
    }
    table = Table("way", "ms a cell", f"minutes for {count:,} cells, one core", "times ours")
    for way, spent in rows.items():
        mean = sum(spent) / cells
        factor = sum(spent) / sum(rows["all proxies together, twins once"])
        table.add_row(way, f"{1000 * mean:.0f}", f"{mean * count / 60:.1f}", f"{factor:.1f}")
    console = Console(width=120)
    console.print(table)
    console.print(f"{cells} cells, {fidelity}; {machine()}")


if __name__ == "__main__":
    typer.run(main)
