"""Two commits side by side, in one run, in turns: what the newer one costs as a ratio to the older one.

    python bench/compare.py OLD NEW [--rounds 5]

Each commit is checked out in a worktree of its own for the time of the run. In each round, each commit measures the
same in a process of its own, one after the other, the order changing from round to round. Costs are CPU time, so that
other work on the machine disturbs both alike. A ratio below 1 says that NEW costs less.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

HERE = Path(__file__).parent
PROBE = """
import json, time
start = time.process_time()
import zerocost as zc
found = {"import": time.process_time() - start}
import gc
import torch
from zerocost.combine import default
gc.collect()
gc.freeze()  # a search for garbage through all modules would fall on one measurement or another
torch.set_num_threads(1)
torch.manual_seed(0)
space = zc.spaces.get("nasbench201")
cell = space.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|")
eight = "grad_norm,snip,plain,fisher,jacob_cov,synflow,naswot,grasp"
sizings = ["params", "flops", "peak_memory", "training_memory"]
sizes = {"reduced": (zc.Fidelity(width=0.5, depth=0.2, resolution=16), 32, 16, 5), "full": (zc.Fidelity(), 64, 32, 1)}
for name, (size, samples, pixels, times) in sizes.items():
    model = space.build(cell, size)
    batch = torch.randn(samples, 3, pixels, pixels), torch.arange(samples) % 10
    for title, proxies in {"default": default.proxies, "eight": eight, **dict(zip(sizings, sizings))}.items():
        start = time.process_time()
        zc.score(model, batch, proxies)
        found.setdefault("first score in a process", time.process_time() - start)
        start = time.process_time()
        for _ in range(times):
            zc.score(model, batch, proxies)
        found[f"{title}, {name} size"] = (time.process_time() - start) / times
    start = time.process_time()
    for _ in range(10):
        space.build(cell, size)
    found[f"build, {name} size"] = (time.process_time() - start) / 10
print(json.dumps(found))
"""


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """The source of a commit, in a worktree that is removed afterwards."""
    git = ["git", "-C", str(HERE)]
    add = [*git, "worktree", "add", "--detach", folder, commit]
    made = subprocess.run(add, capture_output=True, text=True, check=False)
    if made.returncode:
        raise typer.BadParameter(f"{commit}: {made.stderr.strip().splitlines()[-1]}")
    try:
        yield folder / "src"
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", folder], check=False)


def measure(source: Path) -> dict[str, float]:
    """The CPU seconds of each part, in a process that imports zerocost from there."""
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, check=True)
    return {str(name): float(value) for name, value in json.loads(done.stdout).items()}


def main(
    old: Annotated[str, typer.Argument(help="A commit.")],
    new: Annotated[str, typer.Argument(help="Another one.")],
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured; medians are reported.")] = 5,
) -> None:
    """Measure two commits in turns."""
    times: dict[str, list[dict[str, float]]] = {"old": [], "new": []}
    with tempfile.TemporaryDirectory() as folder:
        places = (Path(folder) / name for name in times)
        with checked_out(old, next(places)) as first, checked_out(new, next(places)) as second:
            sources = {"old": first, "new": second}
            for turn in track(range(rounds + 1), "measuring", console=Console(stderr=True), transient=True):
                for name in list(sources) if turn % 2 else reversed(sources):
                    found = measure(sources[name])
                    if turn:  # in the first, bytecode is written
                        times[name].append(found)
    table = Table("", "old, s", "new, s", "new / old", "min – max", box=None)
    for part in times["old"][0]:
        before, after = ([one[part] for one in times[name]] for name in ("old", "new"))
        ratios = [b / a for a, b in zip(before, after, strict=True)]
        middle = [f"{statistics.median(values):.3f}" for values in (before, after, ratios)]
        table.add_row(part, *middle, f"{min(ratios):.2f} – {max(ratios):.2f}")
    console = Console(width=120)
    console.print(table)
    console.print(f"old {old}, new {new}; CPU seconds, medians of {rounds} rounds in turns")


if __name__ == "__main__":
    typer.run(main)
