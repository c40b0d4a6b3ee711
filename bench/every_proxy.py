"""The cost of each proxy alone and of all together, in units of one forward and backward pass.

    python bench/every_proxy.py [--rounds 3] [--small]

On a NAS-Bench-201 network at full size, 64 random images, one thread; costs are measured as in `fusion.py`. Proxies
that fail on this network, such as those for transformers, are left out.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import zerocost as zc
from fusion import forward_backward, machine, seconds
from networks import nasbench201


def measure(rounds: int, small: bool, report: Console) -> dict[str, list[float]]:
    """Cost in units of each proxy that applies, and of all together (key ""), in each round."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nasbench201(channels=4, cells=1) if small else nasbench201()
    samples, pixels = (8, 16) if small else (64, 32)
    batch = torch.randn(samples, 3, pixels, pixels), torch.arange(samples) % 10
    every = list(zc.score(model, batch, zc.proxies.names()))
    plain = [seconds(partial(forward_backward, model, *batch))]
    units: dict[str, list[float]] = {name: [] for name in [*every, ""]}
    for _ in track(range(rounds), "measuring", console=report, transient=True):
        for name, costs in units.items():
            cost = seconds(partial(zc.score, model, batch, name or every))
            plain.append(seconds(partial(forward_backward, model, *batch)))
            costs.append(cost / statistics.mean(plain[-2:]))
    return units


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured; medians are reported.")] = 3,
    small: Annotated[bool, typer.Option("--small", help="A tiny network and batch, to try the script out.")] = False,
) -> None:
    """Cost of every proxy alone and of all together, in units of one forward and backward pass."""
    units = measure(rounds, small, Console(stderr=True))
    medians = {name: statistics.median(costs) for name, costs in units.items()}
    together = medians.pop("")
    apart, table = sum(medians.values()), Table("proxy", "passes", "units alone")
    table.columns[2].justify = "right"
    for name, cost in medians.items():
        table.add_row(name, ", ".join(p.name for p in zc.explain(name).passes) or "none", f"{cost:.2f}")
    steps = zc.explain(list(medians))
    table.add_section()
    table.add_row(f"all {len(medians)}, apart", f"{sum(len(zc.explain(n).passes) for n in medians)}", f"{apart:.1f}")
    table.add_row(f"all {len(medians)}, together", f"{len(steps.passes)}", f"{together:.1f}")
    table.add_row("times cheaper", "", f"{apart / together:.2f}")
    console = Console(width=120)
    console.print(table)
    console.print(f"median of {rounds} rounds; {machine()}")


if __name__ == "__main__":
    typer.run(main)
