"""Networks scored per second on a GPU, against one processor core and against proxies run one by one.

    python bench/gpu.py [--networks 32] [--device cuda]

NAS-Bench-201 cells spread over the space, 64 random images of the resolution they run at: at full size and at the size
that `search` reduces them to. Building and moving a network counts, starting worker processes does not. Each row is
one run, in the order printed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

import zerocost as zc
from fusion import machine
from zerocost import combine
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.spaces import FULL
from zerocost.store import Store

EIGHT = ("grad_norm", "snip", "plain", "fisher", "jacob_cov", "synflow", "naswot", "grasp")
PROXIES = {"default": tuple(combine.default.proxies), "eight": EIGHT}
SIZES = {"reduced": zc.Fidelity(width=0.5, depth=0.2, resolution=16), "full": FULL}


def per_second(texts: Sequence[str], size: zc.Fidelity, proxies: Sequence[str], device: str, workers: int) -> float:
    """How many of these networks a scorer scores in a second, once each of its processes has scored some."""
    batches = draw_job_batches("noise:3x32x32:10", [0], 64, 1, False, size)
    job = Job(zc.spaces.get("nasbench201"), tuple(proxies), batches, size, device)
    warm, timed = texts[: 2 * workers], texts[2 * workers :]
    with Store(None) as store, Scorer(job, store=store, workers=workers) as score:
        score(warm)
        start = time.perf_counter()
        score(timed)
        return len(timed) / (time.perf_counter() - start)


def one_by_one(texts: Sequence[str], size: zc.Fidelity, proxies: Sequence[str], device: str) -> float:
    """The same, each proxy in a run of its own."""
    return 1 / sum(1 / per_second(texts, size, [name], device, 1) for name in proxies)


def main(
    networks: Annotated[int, typer.Option(help="How many are scored in each row.")] = 32,
    device: Annotated[str, typer.Option(help="cuda, cuda:1, …; or cpu, to try the script out.")] = "cuda",
    workers: Annotated[int, typer.Option(help="Processes that share the GPU in the last row of each size.")] = 8,
) -> None:
    """Networks per second on a GPU against one processor core, and against proxies run one by one."""
    torch.set_num_threads(1)
    space = zc.spaces.get("nasbench201")
    texts = [str(cell) for cell in itertools.islice(space, 7, None, space.size // (networks + 2 * workers + 1))]
    few = texts[: 2 + max(4, networks // 8)]
    columns = ("size", "proxies", "one core", "GPU, one by one", "GPU", f"GPU, {workers} processes")
    table = Table(*columns, title="networks per second")
    for (label, size), (kind, proxies) in itertools.product(SIZES.items(), PROXIES.items()):
        rates = [
            per_second(few, size, proxies, "cpu", 1),
            one_by_one(few, size, proxies, device),
            per_second(texts[: networks + 2], size, proxies, device, 1),
            per_second(texts[: networks + 2 * workers], size, proxies, device, workers),
        ]
        table.add_row(label, kind, *(f"{rate:.3g}" for rate in rates))
    console = Console(width=120)
    console.print(table)
    console.print(machine(device))


if __name__ == "__main__":
    typer.run(main)
