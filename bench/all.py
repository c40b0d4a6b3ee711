"""Everything that is measured of zerocost's speed, printed and kept in bench/results.json.

    python bench/all.py [PART …] [--rounds 3]

Parts are the functions below; without any named, all of them run, in a few minutes. Costs are CPU time, in units of a
forward and backward pass measured beside it (as in `fusion.py`), so that other work on the machine disturbs them
little; networks per second are by the clock. What needs what is not here, such as Ray, says so instead of a figure.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

import every_proxy
import store as stores
import zerocost as zc
from fusion import PROXIES, forward_backward, machine, seconds, times_cheaper
from fusion import measure as measure_fusion
from gpu import per_second
from networks import nasbench201
from zerocost.combine import default, reduced
from zerocost.spaces import FULL

HERE = Path(__file__).parent
SIZES = {
    "least": zc.Fidelity(width=0.5, depth=0.2, resolution=8, batch=16),
    "reduced": zc.Fidelity(width=0.5, depth=0.2, resolution=16, batch=32),
    "full": FULL,
}
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
"""The best on CIFAR-10."""
Figures = dict[str, float | str]


def fused(rounds: int) -> Figures:
    """Units of eight proxies in one call, without grasp, and how many times cheaper than one by one."""
    units, _ = measure_fusion(rounds, False, "cpu", Console(stderr=True))
    return {
        "eight proxies, units": statistics.median(units[PROXIES]),
        "without grasp, units": statistics.median(units[PROXIES[:-1]]),
        "eight, times cheaper than one by one": statistics.median(times_cheaper(units, PROXIES)),
    }


def combination(rounds: int) -> Figures:
    """Units of the default combination and of its passes at each size, and of what ranks at the measured fidelity."""
    found = {}
    measured = reduced(default, "nasbench201").proxies
    for name, size in SIZES.items():
        space = zc.spaces.get("nasbench201")
        model = space.build(space.parse(CELL), size)
        samples, pixels = size.batch or 64, size.resolution or 32
        batch = torch.randn(samples, 3, pixels, pixels), torch.arange(samples) % 10
        flow = copy.deepcopy(model).double()
        units, bare, fewer = [], [], []
        for _ in range(rounds + 1):
            plain = statistics.median(seconds(partial(forward_backward, model, *batch)) for _ in range(3))
            units.append(seconds(partial(zc.score, model, batch, default.proxies)) / plain)
            bare.append(seconds(partial(passes_alone, model, flow, batch[0])) / plain)
            if size == zc.Fidelity.parse("nasbench201"):
                fewer.append(seconds(partial(zc.score, model, batch, measured)) / plain)
        found[f"default combination, {name} size, units"] = statistics.median(units[1:])
        found[f"its passes alone, {name} size, units"] = statistics.median(bare[1:])
        if fewer:
            found[f"what ranks there as the default does, {name} size, units"] = statistics.median(fewer[1:])
    return found


def passes_alone(model: torch.nn.Module, flow: torch.nn.Module, images: torch.Tensor) -> None:
    """The passes of the default: the batch, backward to it and through its blocks, one sample in float64 forward and
    backward to all weights, and the batch once more."""
    images = images.clone().requires_grad_()
    outputs = model(images).sum()
    for _ in range(2):
        torch.autograd.grad(outputs, images, retain_graph=True)
    ones = torch.ones(1, *images.shape[1:], dtype=torch.float64)
    torch.autograd.grad(flow(ones).sum(), [*flow.parameters()], allow_unused=True)
    with torch.no_grad():
        model(images)


def proxies(rounds: int) -> Figures:
    """Units of each proxy by itself, on a NAS-Bench-201 network at full size."""
    costs = every_proxy.measure("nasbench201", 64, 1, False, Console(stderr=True))
    return {f"{name or 'all together'}, units": statistics.median(cost.units) for name, cost in costs.items()}


def throughput(rounds: int) -> Figures:
    """Networks a second by the default combination, by size, one process."""
    found = {}
    for name, size in SIZES.items():
        count = 4 if size == FULL else 30
        rates = [per_second(cells(count + 2), size, default.proxies, "cpu", 1) for _ in range(rounds)]
        found[f"networks a second, {name} size"] = statistics.median(rates)
    return found


def processes(rounds: int) -> Figures:
    """How many times as many networks two processes score as one."""
    names, size = cells(64), SIZES["reduced"]
    ratios = []
    for _ in range(rounds):
        one, two = (per_second(names, size, default.proxies, "cpu", workers) for workers in (1, 2))
        ratios.append(two / one)
    return {"two processes, times one": statistics.median(ratios), "processors": os.cpu_count() or 1}


def search(rounds: int) -> Figures:
    """How many times as fast two processes score small siblings in a search, and count the full networks' sizes."""
    ratios = []
    for _ in range(rounds):
        seconds = {}
        for workers in (1, 2):
            settings = {"candidates": 128, "keep": 1, "epochs": 0, "fidelity": "nasbench201", "workers": workers}
            stages = zc.search("nasbench201", "noise:3x32x32:10", progress=False, **settings).stages
            [seconds[workers]] = [stage.seconds for stage in stages if stage.name == "score"]
        ratios.append(seconds[1] / seconds[2])
    return {"a search, two processes, times one": statistics.median(ratios)}


def ray(rounds: int) -> Figures:
    """What `ray_overhead.py` prints."""
    if not (HERE / "ray_overhead.py").exists():
        return {"Ray": "not measured: there is no bench/ray_overhead.py"}
    done = subprocess.run([sys.executable, HERE / "ray_overhead.py"], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"Ray": f"not measured: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}"}
    return {"Ray": "\n".join(line.rstrip() for line in done.stdout.splitlines() if line.strip())}


def store(rounds: int) -> Figures:
    """Seconds to write 200,000 scores, and milliseconds to ask for those of a hundred architectures."""
    found = stores.measure_all(200_000)
    return {f"{place}, {name}": value for place, values in found.items() for name, value in values.items()}


def imports(rounds: int) -> Figures:
    """CPU time of `import zerocost` over that of `import torch`."""
    timed = "import time; start = time.process_time(); import {}; print(time.process_time() - start)"
    ratios = []
    for _ in range(rounds + 1):  # in the first, files are read from the disk and bytecode is written
        torch_, own = (
            float(subprocess.run([sys.executable, "-c", timed.format(name)], capture_output=True, check=True).stdout)
            for name in ("torch", "zerocost")
        )
        ratios.append(own / torch_)
    return {"import zerocost, times import torch": statistics.median(ratios[1:])}


def memory(rounds: int) -> Figures:
    """Peak of memory above what was held before, over that of a forward and backward pass of the same batch."""
    torch.manual_seed(0)
    model, batch = nasbench201(), (torch.randn(64, 3, 32, 32), torch.arange(64) % 10)
    found = {}
    _, plain = every_proxy.cost_of(partial(forward_backward, model, *batch))
    for name, names in (("default combination", default.proxies), ("eight proxies", PROXIES)):
        _, grown = every_proxy.cost_of(partial(zc.score, model, batch, names))
        found[f"peak memory of the {name}, times a pass"] = grown / plain
    return found


def cells(count: int) -> list[str]:
    """So many cells, spread over the space."""
    space = zc.spaces.get("nasbench201")
    return [str(cell) for cell in itertools.islice(space, 7, None, space.size // (count + 1))][:count]


PARTS: dict[str, Callable[[int], Figures]] = {
    part.__name__: part
    for part in (fused, combination, proxies, throughput, processes, search, ray, store, imports, memory)
}


def commit() -> str:
    """The commit that is measured, with a + where files were changed since."""
    run = partial(subprocess.run, cwd=HERE, capture_output=True, text=True, check=False)
    name = run(["git", "rev-parse", "--short=12", "HEAD"]).stdout.strip() or "no repository"
    return name + "+" * bool(run(["git", "status", "--porcelain", "--untracked-files=no", "../src"]).stdout.strip())


def main(
    parts: Annotated[list[str] | None, typer.Argument(help=f"Some of {', '.join(PARTS)}; all by default.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often things are measured; medians are reported.")] = 3,
) -> None:
    """Measure everything and record it."""
    torch.set_num_threads(1)
    if unknown := set(parts or ()) - PARTS.keys():
        raise typer.BadParameter(f"unknown part {unknown.pop()!r}. Known: {', '.join(PARTS)}.")
    file, console = HERE / "results.json", Console(width=120)
    kept = json.loads(file.read_text())["figures"] if parts and file.exists() else {}
    for name in parts or PARTS:
        start = time.perf_counter()
        kept[name] = PARTS[name](rounds)
        table = Table(f"{name}: {(PARTS[name].__doc__ or '').partition('.')[0]}", "", box=None)
        table.columns[1].justify = "right"
        for title, value in kept[name].items():
            table.add_row(title, value if isinstance(value, str) else f"{value:.3g}")
        console.print(table)
        console.print(f"{time.perf_counter() - start:.0f} s\n", style="dim")
        record = {"machine": machine(), "processors": os.cpu_count(), "commit": commit(), "figures": kept}
        file.write_text(json.dumps(record, indent=2) + "\n")
    console.print(f"{machine()}; {os.cpu_count()} processors; commit {commit()}; wrote {file.name}")


if __name__ == "__main__":
    typer.run(main)
