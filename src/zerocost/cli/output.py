"""What subcommands print and write: the console, JSON, tables and other files."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO

import pandas as pd
import typer
from rich.console import Console

from zerocost.base.errors import InputError, ZerocostError
from zerocost.base.files import check_file, write_text
from zerocost.base.result import Result, check_parquet, write_parquet

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
_JSON: ContextVar[TextIO | None] = ContextVar("json", default=None)
"""Where JSON is printed to, if not to `sys.stdout`."""


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


@contextmanager
def stdout_for_json() -> Iterator[None]:
    """Inside, what anybody but `print_json` prints, as networks may, goes to stderr."""
    token = _JSON.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _JSON.reset(token)


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


def print_line(text: str, style: str | None = None) -> None:
    """A line of plain text, however long, in which brackets are no markup."""
    out.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def print_written(paths: Iterable[Path]) -> None:
    """Which files were written."""
    for path in paths:
        print_line(f"wrote {path}")
