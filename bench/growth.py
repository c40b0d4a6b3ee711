"""How the cost of scoring grows: with width, depth, pixels, batch, proxies and workers, and what many networks cost.

    python bench/growth.py [--rounds 3] [--json]

The default combination on NAS-Bench-201 networks, one thread. One quantity changes at a time, from a network of 16
channels, one cell a stage, 16 pixels and 32 samples. Costs are CPU time. A line, seconds = a · parameter tensors + b ·
multiply-adds of the batch, is fitted to all points by least squares of the relative error; `calibrate` orders
fidelities by a / b. What a million networks cost is the CPU time of four, built and scored at each size of
`all.py`, times their number: a model, in which cores do not disturb each other.
"""

from __future__ import annotations

import json
import statistics
import time
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

import zerocost as zc
from all import SIZES, cells
from fusion import machine, seconds
from networks import nasbench201
from zerocost.combine import default
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.store import Store


class Point(NamedTuple):
    """One network and batch."""

    channels: int = 16
    cells: int = 1
    pixels: int = 16
    samples: int = 32


AXES = {
    "channels": (8, 16, 32, 64),
    "cells": (1, 2, 4, 8),
    "pixels": (8, 16, 32),
    "samples": (8, 16, 32, 64, 128),
}


def cost(point: Point, proxies: list[str], rounds: int) -> tuple[float, float, float]:
    """CPU seconds of scoring, parameter tensors, and multiply-adds of the batch."""
    torch.manual_seed(0)
    model = nasbench201(point.channels, point.cells)
    batch = torch.randn(point.samples, 3, point.pixels, point.pixels), torch.arange(point.samples) % 10
    sizes = zc.score(model, batch, "layer_count,flops")
    zc.score(model, batch, proxies)
    spent = statistics.median(seconds(partial(zc.score, model, batch, proxies)) for _ in range(rounds))
    return spent, sizes["layer_count"], sizes["flops"] * point.samples


def per_network(size: zc.Fidelity, count: int = 4) -> float:
    """CPU seconds of building, scoring and storing one NAS-Bench-201 network."""
    batches = draw_job_batches("noise:3x32x32:10", [0], 64, 1, False, size)
    job = Job(zc.spaces.get("nasbench201"), tuple(default.proxies), batches, size, None)
    with Store(None) as store, Scorer(job, store=store) as score:
        first, *rest = cells(count + 1)
        score([first])
        start = time.process_time()
        score(rest)
        return (time.process_time() - start) / count


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured; medians are reported.")] = 3,
    as_data: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure how cost grows."""
    torch.set_num_threads(1)
    every = list(default.proxies)
    cost(Point(), every, rounds)  # work done once per process is not part of the cost
    found = {
        axis: {value: cost(Point(**{axis: value}), every, rounds) for value in values} for axis, values in AXES.items()
    }
    several = {n: cost(Point(), every[:n], rounds)[0] for n in range(1, len(every) + 1)}
    points = np.array([point for axis in found.values() for point in axis.values()])
    (a, b), *_ = np.linalg.lstsq(points[:, 1:] / points[:, :1], np.ones(len(points)), rcond=None)
    error = np.median(np.abs(points[:, 1:] @ (a, b) / points[:, 0] - 1))
    networks = {name: per_network(size) for name, size in SIZES.items()}
    if as_data:
        print(
            json.dumps(
                {
                    "machine": machine(),
                    "points": found,
                    "proxies": several,
                    "a": a,
                    "b": b,
                    "error": error,
                    "networks": networks,
                }
            )
        )
        return
    console = Console(width=120)
    for axis, values in found.items():
        table = Table(axis, *map(str, values), box=None)
        table.add_row("times the first", *(f"{one[0] / next(iter(values.values()))[0]:.2f}" for one in values.values()))
        table.add_row("times the first, model", *(_modelled(values, a, b)))
        table.add_row("milliseconds of CPU", *(f"{1000 * one[0]:.0f}" for one in values.values()))
        console.print(table)
    table = Table("proxies", *map(str, several), box=None)
    table.add_row("times the first", *(f"{spent / several[1]:.2f}" for spent in several.values()))
    console.print(table)
    columns = ("ms a network", "a million, core-hours", "2 cores", "a hundred million, 1,000 cores")
    table = Table("size", *columns, box=None)
    for name, spent in networks.items():
        hours = 1e6 * spent / 3600
        table.add_row(name, f"{1000 * spent:.0f}", f"{hours:.0f}", f"{hours / 2:.0f} h", f"{100 * hours / 1000:.1f} h")
    console.print(table)
    console.print(f"{1e6 * a:.0f} µs a parameter tensor + {1e9 * b:.3f} ns a multiply-add; a / b = {a / b:.2g}")
    console.print(f"median error {error:.0%}; median of {rounds} rounds; {machine()}")


def _modelled(values: dict[int, tuple[float, float, float]], a: float, b: float) -> list[str]:
    """What the line says, times its first."""
    costs = [a * tensors + b * adds for _, tensors, adds in values.values()]
    return [f"{one / costs[0]:.2f}" for one in costs]


if __name__ == "__main__":
    typer.run(main)
