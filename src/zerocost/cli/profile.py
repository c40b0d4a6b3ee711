"""`zerocost profile`: where the time of one scoring goes."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from zerocost.base.format import percent, plural
from zerocost.cli.candidates import load_builder
from zerocost.cli.expand import command
from zerocost.cli.options import Data, Json, OptionalBatch, Proxies
from zerocost.cli.output import check_output, out, print_json, print_line, print_written
from zerocost.combine import as_proxies
from zerocost.data import load as open_data
from zerocost.data.batch import usual_size
from zerocost.proxies.registry import resolve
from zerocost.scoring.profile import Profile
from zerocost.scoring.profile import profile as profile_model
from zerocost.scoring.rank import draw_batches, rank_batch

_FLAME_SECONDS = 3
_SET_TRACER = 0x59616D61
"""Linux's PR_SET_PTRACER, by which a process says who may look into it, where only its parents may by default."""


@command
def profile(
    target: Annotated[str, typer.Argument(metavar="FILE.py:NAME", help="A function that builds a network.")],
    data: Data,
    proxies: Proxies = "default",
    batch: OptionalBatch = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured; medians are shown.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seeds the batch, the initial weights and the passes.")] = 0,
    flame: Annotated[
        Path | None, typer.Option(help="Write a flame graph to this .svg file, by py-spy where it is installed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show where the time of scoring one network goes, in units of one forward and backward pass."""
    resolve(as_proxies(proxies))
    check_output("--flame", flame, ".svg", "")
    build = load_builder(target)
    source = open_data(data)
    size = batch or usual_size(source)
    drawn = draw_batches(source, size, 1, seed, False)
    found = profile_model(build, drawn, proxies, rounds=rounds, seed=seed)
    if as_json:
        print_json(found.to_dict() | {"table": found.table.to_dict("records")})
    else:
        _print_profile(found, size)
    if flame is not None:
        _draw_flame(flame, partial(rank_batch, {target: build}, drawn, proxies, seed=seed, progress=False))


def _print_profile(found: Profile, size: int) -> None:
    """The parts, those of a pass indented, and what is measured."""
    table = Table("part", "units", "share", "alone", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    kind = ""
    for row in found.table.to_dict("records"):
        if row["kind"] != kind:
            table.add_section()
            kind = row["kind"]
        name = f"{kind} {row['name']}" if kind in ("pass", "watcher", "proxy") else row["name"]
        alone = "" if math.isnan(row["alone"]) else f"{row['alone']:.2f}"
        table.add_row(escape(name), f"{row['units']:.3f}", percent(row["share"]), alone)
    out.print(table)
    for name, reason in found.failures.items():
        print_line(f"failed: {name}: {reason}")
    out.print(
        f"1 unit: one forward and backward pass of {plural(size, 'sample')}, {1000 * found.unit:.3g} ms; medians of "
        f"{plural(found.rounds, 'round')}. Watchers are part of their passes; alone: scoring with that proxy alone",
        style="dim",
        highlight=False,
        soft_wrap=True,
    )


def _draw_flame(path: Path, score: Callable[[], object]) -> None:
    """A flame graph of scoring again and again, by py-spy, which looks into this process meanwhile."""
    spy = shutil.which("py-spy")
    if spy is None:
        out.print("no flame graph: py-spy is not installed; pip install py-spy", style="dim", highlight=False)
        return
    run = [spy, "record", "--pid", str(os.getpid()), "--duration", str(_FLAME_SECONDS), "--output", str(path)]
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as spying:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_SET_TRACER, spying.pid, 0, 0, 0)
        while spying.poll() is None:
            score()
        _, said = spying.communicate()
    if spying.returncode or not path.is_file():
        reason = (said.strip().splitlines() or ["it wrote nothing"])[-1]
        print_line(f"no flame graph: py-spy failed: {reason}", style="dim")
        return
    print_written([path])
