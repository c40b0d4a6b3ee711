"""Assembles the command from its subcommands, one a file."""

from __future__ import annotations

import atexit
import gc
from typing import Annotated

import typer

from zerocost.base.interrupt import exit_at_interrupt, ignore_interrupt
from zerocost.base.version import VERSION
from zerocost.cli.calibrate import calibrate
from zerocost.cli.evaluate import evaluate
from zerocost.cli.explain import explain
from zerocost.cli.latency import latency
from zerocost.cli.lists import benchmarks, data, spaces
from zerocost.cli.profile import profile
from zerocost.cli.proxies import proxies
from zerocost.cli.rank import rank
from zerocost.cli.score import score
from zerocost.cli.search import search
from zerocost.cli.shell import Shell
from zerocost.cli.store import store
from zerocost.cli.train import train
from zerocost.cli.tune import tune

app = typer.Typer(
    cls=Shell,
    name="zerocost",
    help="Rank neural networks before they are trained.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    score,
    rank,
    train,
    search,
    evaluate,
    tune,
    calibrate,
    proxies,
    spaces,
    data,
    benchmarks,
    explain,
    profile,
):
    app.command()(command)
app.add_typer(latency, name="latency")
app.add_typer(store, name="store")


def _show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"zerocost {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Rank neural networks before they are trained."""


def main() -> None:
    """Entry point of the shell command."""
    exit_at_interrupt()  # until a subcommand runs
    atexit.register(ignore_interrupt)  # for the end of Python's shutdown, where the signal would kill
    gc.freeze()  # what was imported stays, so that it need not be searched for garbage again and again
    try:
        app()
    finally:
        exit_at_interrupt()  # while Python shuts down
