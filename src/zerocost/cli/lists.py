"""`zerocost spaces`, `zerocost data` and `zerocost benchmarks`: what there is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from zerocost import spaces as spaces_
from zerocost.benchmarks.kinds import BENCHMARKS
from zerocost.cli.expand import command
from zerocost.cli.options import Json
from zerocost.cli.output import out, print_json
from zerocost.data import SOURCES


@command
def spaces(as_json: Json = False) -> None:
    """List the search spaces with their number of architectures and the sizes they take."""
    _print_list(
        [
            {
                "space": name,
                "architectures": spaces_.get(name).size or 0,
                "sizes": ", ".join(inspect.signature(make).parameters),
                "summary": inspect.cleandoc(make.__doc__ or "").partition("\n")[0],
            }
            for name, make in sorted(spaces_.SPACES.items())
        ],
        as_json,
    )


@command
def data(as_json: Json = False) -> None:
    """List the sources of data that --data can name."""
    _print_list([{"data": one.usage, "summary": one.summary} for one in SOURCES.values()], as_json)


@command
def benchmarks(as_json: Json = False) -> None:
    """List the benchmarks with their default truth and what they are read from."""
    _print_list(
        [{"benchmark": name, "truth": str(one.default), "read from": one.wanted} for name, one in BENCHMARKS.items()],
        as_json,
    )


def _print_list(rows: Sequence[Mapping[str, str | int]], as_json: bool) -> None:
    """Rows of equal keys as a table, or as JSON."""
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for title in rows[0]:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) if isinstance(cell, str) else f"{cell:,}" for cell in row.values()))
    out.print(table, highlight=False)
