"""The cost of each proxy alone and of all together, in units of one forward and backward pass, and their memory.

    python bench/every_proxy.py [--network resnet18] [--rounds 3] [--small]

On a NAS-Bench-201 network at full size or one of `image_networks.py` (64 pixels), random images, or on two layers of an
LSTM or a GRU, random series of 256 steps; one thread. Costs are measured as in `fusion.py`. Memory is the most that the
process holds above what it held before, over that of snip; it is measured where /proc/self/clear_refs can be written
(Linux). Proxies that fail, as those for transformers do, are left out.
"""

from __future__ import annotations

import ctypes
import gc
import math
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

import zerocost as zc
from fusion import forward_backward, machine, seconds
from image_networks import IMAGE_NETWORKS
from networks import nasbench201


class Costs(NamedTuple):
    """Units and peak memory of one proxy, in each round."""

    units: list[float]
    bytes: list[float]


class Series(nn.Module):
    """Two recurrent layers of 64 units, and a linear layer on the last step."""

    def __init__(self, kind: type[nn.LSTM | nn.GRU]) -> None:
        super().__init__()
        self.layers, self.head = kind(16, 64, 2, batch_first=True), nn.Linear(64, 10)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.layers(series)[0][:, -1])


SERIES_NETWORKS = {"lstm": partial(Series, nn.LSTM), "gru": partial(Series, nn.GRU)}
NETWORKS: dict[str, Callable[[], nn.Module]] = {"nasbench201": nasbench201, **IMAGE_NETWORKS, **SERIES_NETWORKS}


def cost_of(run: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of a run, and by how much the process's memory grew at most; NaN where the system does not say."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return seconds(run), math.nan
    before = resident("VmRSS")
    return seconds(run), resident("VmHWM") - before


def resident(kind: str) -> float:
    """Resident memory of this process in bytes, now (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(float(line.split()[1]) for line in lines if line.startswith(kind))


def measure(network: str, samples: int, rounds: int, small: bool, report: Console) -> dict[str, Costs]:
    """Costs of each proxy that applies, and of all together (key ""), in each round."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nasbench201(channels=4, cells=1) if small else NETWORKS[network]()
    pixels = 16 if small else 32 if network == "nasbench201" else 64
    shape = (256, 16) if network in SERIES_NETWORKS and not small else (3, pixels, pixels)
    batch = torch.randn(samples, *shape), torch.arange(samples) % 10
    every = list(zc.score(model, batch, zc.proxies.names()))
    plain = [seconds(partial(forward_backward, model, *batch))]
    costs = {name: Costs([], []) for name in [*every, ""]}
    for _ in track(range(rounds), "measuring", console=report, transient=True):
        for name, cost in costs.items():
            spent, grown = cost_of(partial(zc.score, model, batch, name or every))
            plain.append(seconds(partial(forward_backward, model, *batch)))
            cost.units.append(spent / statistics.mean(plain[-2:]))
            cost.bytes.append(grown)
    return costs


def main(
    network: Annotated[str, typer.Option(help=f"One of {', '.join(NETWORKS)}.")] = "nasbench201",
    samples: Annotated[int, typer.Option(min=4, help="Images, or series, in the batch.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured; medians are reported.")] = 3,
    small: Annotated[bool, typer.Option("--small", help="A tiny network and batch, to try the script out.")] = False,
) -> None:
    """Cost of every proxy alone and of all together, in units of one forward and backward pass."""
    if network not in NETWORKS:
        raise typer.BadParameter(f"unknown network {network!r}. Known: {', '.join(NETWORKS)}.")
    costs = measure(network, 8 if small else samples, rounds, small, Console(stderr=True))
    medians = {name: statistics.median(cost.units) for name, cost in costs.items()}
    peaks = {name: statistics.median(cost.bytes) for name, cost in costs.items()}
    together = medians.pop("")
    apart, table = sum(medians.values()), Table("proxy", "passes", "units alone", "memory / snip")
    table.columns[2].justify = table.columns[3].justify = "right"
    for name, units in medians.items():
        passes = ", ".join(p.name for p in zc.explain(name).passes) or "none"
        table.add_row(name, passes, f"{units:.2f}", f"{peaks[name] / peaks['snip']:.2f}")
    steps = zc.explain(list(medians))
    table.add_section()
    table.add_row(f"all {len(medians)}, apart", f"{sum(len(zc.explain(n).passes) for n in medians)}", f"{apart:.1f}")
    share = f"{peaks[''] / peaks['snip']:.2f}"
    table.add_row(f"all {len(medians)}, together", f"{len(steps.passes)}", f"{together:.1f}", share)
    table.add_row("times cheaper", "", f"{apart / together:.2f}")
    console = Console(width=120)
    console.print(table)
    console.print(f"{network}, {samples} samples; median of {rounds} rounds; {machine()}")


if __name__ == "__main__":
    typer.run(main)
