"""The cost of eight proxies together and of each alone, in units of one forward and backward pass.

    python bench/fusion.py [--rounds 5] [--small] [--device cuda] [--json]

On a NAS-Bench-201 network at full size, 64 random images, one thread. Costs are CPU seconds of this process, so that
other processes disturb them less; on a GPU they are seconds until it has finished. Each is divided by the mean of a
plain pass just before and one just after it.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

import zerocost as zc
from networks import nasbench201

PROXIES = ("grad_norm", "snip", "plain", "fisher", "jacob_cov", "synflow", "naswot", "grasp")
WITHOUT_GRASP = PROXIES[:-1]
AT_MOST = {WITHOUT_GRASP: 2.2, PROXIES: 7.0}
RUNS = [*((name,) for name in PROXIES), WITHOUT_GRASP, PROXIES]

Units = dict[tuple[str, ...], list[float]]


def seconds(run: Callable[[], Any], device: str = "cpu") -> float:
    if device == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def forward_backward(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    nn.functional.cross_entropy(model(inputs), labels).backward()
    model.zero_grad()


def measure(rounds: int, small: bool, device: str, report: Console) -> tuple[Units, float]:
    """For each set of proxies its cost in each round, in units; and the median seconds of one unit."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = (nasbench201(channels=4, cells=1) if small else nasbench201()).to(device)
    samples, pixels = (8, 16) if small else (64, 32)
    batch = torch.randn(samples, 3, pixels, pixels, device=device), torch.arange(samples, device=device) % 10
    zc.score(model, batch, PROXIES)  # work done once per process is not part of the cost
    forward_backward(model, *batch)
    plain = [seconds(partial(forward_backward, model, *batch), device)]
    units: Units = {names: [] for names in RUNS}
    for _ in track(range(rounds), "measuring", console=report, transient=True):
        for names in RUNS:
            cost = seconds(partial(zc.score, model, batch, names), device)
            plain.append(seconds(partial(forward_backward, model, *batch), device))
            units[names].append(cost / statistics.mean(plain[-2:]))
    return units, statistics.median(plain)


def sum_alone(units: Units, names: tuple[str, ...]) -> list[float]:
    """The summed cost, in each round, of running each proxy alone."""
    return [sum(costs) for costs in zip(*(units[name,] for name in names), strict=True)]


def times_cheaper(units: Units, names: tuple[str, ...]) -> list[float]:
    return [alone / together for alone, together in zip(sum_alone(units, names), units[names], strict=True)]


def machine(device: str = "cpu") -> str:
    if device != "cpu":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    cpu = models[0].partition(":")[2].strip() if models else platform.processor() or platform.machine()
    return f"{cpu}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}, one thread"


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} – {max(values):.2f}"


def table(units: Units, small: bool) -> Table:
    """The costs; the limits are for the network at full size."""
    shown = Table("run", "forward", "backward", "units", "min – max", "at most")
    for column in shown.columns[1:]:
        column.justify = "right"

    def row(label: str, values: list[float], forwards: object = "", backwards: object = "", limit: object = "") -> None:
        median = f"{statistics.median(values):.2f}"
        shown.add_row(label, str(forwards), str(backwards), median, spread(values), str(limit))

    for name in PROXIES:
        row(name, units[name,], zc.explain([name]).forwards, zc.explain([name]).backwards)
    for names, limit in AT_MOST.items():
        title = "all eight" if "grasp" in names else "no grasp"
        each, together = [zc.explain([name]) for name in names], zc.explain(names)
        shown.add_section()
        row(f"{title}, apart", sum_alone(units, names), sum(r.forwards for r in each), sum(r.backwards for r in each))
        row(f"{title}, together", units[names], together.forwards, together.backwards, "" if small else limit)
        row("  times cheaper", times_cheaper(units, names))
    return shown


def as_json(units: Units, unit_seconds: float, device: str) -> str:
    def summary(values: list[float]) -> dict[str, float]:
        return {"median": statistics.median(values), "min": min(values), "max": max(values)}

    return json.dumps(
        {
            "machine": machine(device),
            "unit_seconds": unit_seconds,
            "rounds": len(units[PROXIES]),
            "units": {",".join(names): summary(values) for names, values in units.items()},
            "at_most": {",".join(names): limit for names, limit in AT_MOST.items()},
            "times_cheaper_together": {",".join(names): summary(times_cheaper(units, names)) for names in AT_MOST},
        },
        indent=2,
    )


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured; medians are reported.")] = 5,
    small: Annotated[bool, typer.Option("--small", help="A tiny network and batch, to try the script out.")] = False,
    device: Annotated[str, typer.Option(help="Where it runs: cpu or cuda.")] = "cpu",
    as_data: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Cost of eight proxies together and alone, in units of one forward and backward pass."""
    units, unit_seconds = measure(rounds, small, device, Console(stderr=True))
    if as_data:
        print(as_json(units, unit_seconds, device))
        return
    console = Console(width=120)
    console.print(table(units, small))
    kind = "s of CPU" if device == "cpu" else "s"
    console.print(f"1 unit: one forward and backward pass, {unit_seconds:.3g} {kind}; median of {rounds} rounds")
    console.print(machine(device))


if __name__ == "__main__":
    typer.run(main)
