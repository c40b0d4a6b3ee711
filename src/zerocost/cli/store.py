"""`zerocost store info | export | merge`: databases of scores."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from zerocost.base.files import check_file
from zerocost.base.format import plural
from zerocost.cli.expand import command
from zerocost.cli.options import Json
from zerocost.cli.output import out, print_json, print_line, print_written
from zerocost.store import Store
from zerocost.store.transfer import check_export, open_existing, summarise
from zerocost.store.transfer import export as export_rows
from zerocost.store.transfer import merge as merge_stores

store = typer.Typer(help="Databases of scores, as --store and --cache keep them.", no_args_is_help=True)
_Where = Annotated[str, typer.Argument(metavar="STORE", help="A file, or the URL of a database.")]


@store.command()
@command
def info(where: _Where, as_json: Json = False) -> None:
    """Show what a store holds."""
    with open_existing(where) as opened:
        jobs = summarise(opened)
    if as_json:
        print_json([one._asdict() for one in jobs])
        return
    total, failures = sum(one.scores for one in jobs), sum(one.failures for one in jobs)
    out.print(f"{opened.where}: {plural(total, 'score')}, of them {plural(failures, 'failure')}", highlight=False)
    if jobs:
        table = Table(
            "scores of", "made", "seeds", "architectures", "proxies", "scores", "failures", box=None, pad_edge=False
        )
        for one in jobs:
            seeds = " to ".join(dict.fromkeys((str(one.first_seed), str(one.last_seed))))
            counts = (one.architectures, one.proxies, one.scores, one.failures)
            table.add_row(escape(one.about), escape(one.made[:8]), seeds, *(f"{count:,}" for count in counts))
        out.print(table, highlight=False)


@store.command()
@command
def export(where: _Where, to: Annotated[Path, typer.Option(help="Write to this .csv or .parquet file.")]) -> None:
    """Write all scores to a file, one a row. Parquet needs the extra parquet."""
    check_export(to)
    with open_existing(where) as opened:
        count = export_rows(opened, to)
    out.print(plural(count, "score"), highlight=False)
    print_written([to])


@store.command()
@command
def merge(
    sources: Annotated[list[str], typer.Argument(metavar="STORE...", help="Files, or URLs of databases.")],
    into: Annotated[str, typer.Option(help="The store to add them to, new or existing.")],
) -> None:
    """Add the scores of stores to another. Scores it has stay, but a value takes the place of a failure."""
    check_file(into if "://" not in into else None)
    with ExitStack() as stack:
        opened = [stack.enter_context(open_existing(source)) for source in sources]
        target = stack.enter_context(Store(into))
        merged = merge_stores(opened, target)
    added = f"{target.where}: {plural(merged.added, 'score')} added, {merged.known:,} known"
    if merged.replaced:
        added += f", {plural(merged.replaced, 'failure')} replaced by a value"
    print_line(added)
    if merged.different:
        print_line(
            f"{plural(merged.different, 'score')} differed, and those that were there first stayed; {merged.example}"
        )
