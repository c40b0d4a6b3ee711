"""What the subcommands share: options, files of tables, JSON."""

from __future__ import annotations

import functools
import json
import math
import os
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO

import pandas as pd
import typer
from rich.console import Console

from zerocost import spaces
from zerocost.base.errors import InputError, ZerocostError
from zerocost.base.files import check_file, write_text
from zerocost.base.result import Result, check_parquet, write_parquet
from zerocost.cli.expand import expand
from zerocost.combine import default, tokens
from zerocost.data import SOURCES
from zerocost.engine.plan import plan
from zerocost.engine.proxy import Proxy
from zerocost.search.origin import own_space
from zerocost.spaces import SearchSpace
from zerocost.tasks import TASKS
from zerocost.tasks.metrics import METRICS

Write = Callable[[], Iterable[Path]]
"""Writes files, and returns them."""


class _Output(Console):
    """A console that leaves it to `Shell` what happens when its reader has gone."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


_PIPED_WIDTH = 200
"""Columns of a table that goes to no terminal, where the variable COLUMNS does not say how many."""
_has_width = "COLUMNS" in os.environ or (sys.stdout is not None and sys.stdout.isatty())
out = _Output(width=None if _has_width else _PIPED_WIDTH)

SPECS = ", ".join(source.usage for source in SOURCES.values())
SPACE_FORMS = f"A space by name ({', '.join(spaces.names())}), or FILE.py:NAME"
_BY_DEFAULT = "or what the combination of --proxies says"
Data = Annotated[str, typer.Option("--data", help=f"Where batches come from: {SPECS}.")]
Space = Annotated[str, typer.Option("--space", help=f"{SPACE_FORMS}.")]
OptionalBatch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        help=f"Samples in the batch that networks are scored on. By default 64 (all of fewer), {_BY_DEFAULT}.",
    ),
]
Repeats = Annotated[
    int | None,
    typer.Option(
        min=1, help=f"Initialisations that each network is scored from; scores are means. By default 1, {_BY_DEFAULT}."
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        "--fidelity",
        help="Score smaller siblings, as in width=0.5,resolution=16; or the name of a space, for what was measured in "
        f"it. By default full size, {_BY_DEFAULT}.",
    ),
]
Proxies = Annotated[
    str,
    typer.Option(
        "--proxies",
        help="Proxies, comma-separated, as in 'snip,zico(parts=4),my_proxy.py:mine' (`zerocost proxies` lists them), "
        f"or the .json file of a combination. 'default' stands for {', '.join(default.proxies)}; "
        f"for token ids {', '.join(tokens.proxies)}.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="The same seed gives the same result.")]
Device = Annotated[str, typer.Option("--device", help="Where networks run: cpu, cuda, cuda:1, …")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes, one torch thread each. By default 1, or with --device cuda one for each GPU; with --ray one "
        "for each CPU, or GPU, of the cluster.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        help="Work on a Ray cluster: auto for the one that this machine belongs to, its address as HOST:PORT, or local "
        "for a new one on this machine. Needs the extra ray.",
    ),
]


Explain = Annotated[
    bool,
    typer.Option("--explain", help="Explain the ranking: what each proxy moved, and how much of it is only size."),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task", help=f"What the outputs are for: {', '.join(TASKS)}. By default what the data is certain about."
    ),
]
MetricName = Annotated[
    str | None, typer.Option("--metric", help=f"What trained networks are judged by: {', '.join(METRICS)}.")
]
LossFile = Annotated[
    str | None, typer.Option(metavar="FILE.py:NAME", help="A function of outputs and targets, a mean over samples.")
]
OutputPlace = Annotated[
    str | None,
    typer.Option(help="The tensor in what a network returns: a key, an attribute, a place such as 0, or FILE.py:NAME."),
]
_JSON: ContextVar[TextIO | None] = ContextVar("json", default=None)
"""Where JSON is printed to, if not to `sys.stdout`."""
Report = Annotated[Path | None, typer.Option("--report", help="Write an HTML report to this file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for other programs, instead of tables.")]


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What the outputs are for."""

    task: TaskName = None
    loss: LossFile = None
    output: OutputPlace = None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How networks are scored."""

    batches: Annotated[
        int, typer.Option("--batches", min=1, help="Batches to draw, for proxies that compare batches.")
    ] = 1
    balanced: Annotated[bool, typer.Option("--balanced", help="Draw equally many samples of each class.")] = False
    seed: Seed = 0
    device: Device = "cpu"


@dataclass(frozen=True, kw_only=True)
class TableFiles:
    """Files that the table is written to."""

    csv: Annotated[Path | None, typer.Option("--csv", help="Write the table to this file as CSV.")] = None
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="Write the table to this .parquet file; needs the extra parquet.")
    ] = None

    def check(self) -> None:
        """`InputError` or `MissingExtraError` for what cannot be written."""
        check_output("--csv", self.csv, ".csv", "")
        check_output("--parquet", self.parquet, ".parquet")
        if self.parquet is not None:
            check_parquet()

    def writes(self, result: Result | pd.DataFrame) -> list[Write]:
        """What writes each file that is asked for."""
        frame = result.to_frame() if isinstance(result, Result) else result
        save = result.save if isinstance(result, Result) else partial(write_parquet, frame=frame)
        named = frame.index.name is not None
        table = write_to(self.csv, lambda path: write_text(path, frame.to_csv(index=named)))
        return [*table, *write_to(self.parquet, save)]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A subcommand: its groups become options."""
    signature, gather = expand(function)

    @functools.wraps(function)
    def run(**values: Any) -> None:
        with _stdout_for_json() if values.get("as_json") else nullcontext():
            function(**gather(values))

    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    return run


@contextmanager
def _stdout_for_json() -> Iterator[None]:
    """Inside, what anybody but `print_json` prints, as networks may, goes to stderr."""
    token = _JSON.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _JSON.reset(token)


def read_space(name: str) -> SearchSpace | str:
    """The space that FILE.py:NAME names; any other name as it is, as that of a shipped space."""
    return own_space(name) if ":" in name else name


def nothing_ran(proxies: Iterable[Proxy], scored: Container[str]) -> bool:
    """Whether every proxy that has to run the network failed, as when the data does not fit it."""
    running = [p.name for p in proxies if plan([p]).passes]
    return bool(running) and not any(name in scored for name in running)


def print_json(value: Any) -> None:
    """One JSON object on stdout; numbers that JSON cannot hold become null."""

    def as_json(item: Any) -> Any:
        if isinstance(item, dict):
            return {str(key): as_json(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [as_json(inner) for inner in item]
        if isinstance(item, float) and not math.isfinite(item):
            return None
        return item if isinstance(item, str | int | float | bool | None) else str(item)

    (_JSON.get() or sys.stdout).write(json.dumps(as_json(value), indent=2, allow_nan=False) + "\n")


def check_output(option: str, path: Path | None, *suffixes: str) -> None:
    """`InputError` for a file that could not be written, or whose name ends in none of the suffixes.

    >>> check_output("--csv", Path("table.xlsx"), ".csv", "")
    Traceback (most recent call last):
    zerocost.base.errors.InputError: --csv takes a .csv file, but got table.xlsx
    """
    if path is not None and path.suffix.lower() not in suffixes:
        raise InputError(f"{option} takes a {' or '.join(filter(None, suffixes))} file, but got {path}")
    check_file(path)


def write_to(path: Path | None, write: Callable[[Path], object]) -> list[Write]:
    """For `then_written`, what writes a file where a path is given."""

    def run() -> list[Path]:
        assert path is not None
        write(path)
        return [path]

    return [] if path is None else [run]


@contextmanager
def then_written(writes: Callable[[], Iterable[Write]], quiet: bool) -> Iterator[None]:
    """Write files after something was printed, also where there is nobody to read it; and say which, if not quiet.

    Each is written, whatever happens to the others; then the first error is raised.
    """
    written: list[Path] = []
    errors: list[Exception] = []
    try:
        try:
            yield
        finally:
            for write in writes():
                try:
                    written += write()
                except (ZerocostError, OSError) as error:
                    errors.append(error)
        print_written([] if quiet else written)
    finally:
        if errors:
            raise errors[0]


def print_written(paths: Iterable[Path]) -> None:
    """Which files were written."""
    for path in paths:
        out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
