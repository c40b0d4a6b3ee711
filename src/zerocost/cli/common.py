"""What the subcommands share: options, loading the user's callables, errors as one line, progress."""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn, ParamSpec

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from zerocost.base.errors import ZerocostError
from zerocost.data import SOURCES
from zerocost.engine.plan import plan
from zerocost.engine.proxy import Proxy

P = ParamSpec("P")
BAD_INPUT, NOTHING_FOUND, INTERRUPTED, TERMINATED = 2, 1, 130, 143


class Output(Console):
    """A console that leaves it to `command` what happens when its reader has gone."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


PIPED_WIDTH = 200
out = Output(width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True)

SPECS = ", ".join(source.usage for source in SOURCES.values())
Data = Annotated[str, typer.Option("--data", help=f"Where batches come from: {SPECS}.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Samples in the batch that networks are scored on.")]
OwnBatch = Annotated[
    int | None,
    typer.Option("--batch", min=1, help="Samples in the batch that networks are scored on: 64, or as tuned."),
]
Repeats = Annotated[
    int | None,
    typer.Option(min=1, help="Seeds that each network is built and scored with; scores are means. 1, or as tuned."),
]
Scale = Annotated[
    str | None,
    typer.Option(
        "--fidelity",
        help="Score smaller siblings: settings such as width=0.5,resolution=16. Full size, or as tuned.",
    ),
]
Balanced = Annotated[bool, typer.Option("--balanced", help="Draw equally many samples of each class.")]
Proxies = Annotated[
    str,
    typer.Option(
        "--proxies",
        help="Names, comma-separated, as in 'snip,zico(parts=4),my_proxy.py:mine', see `zerocost proxies`; or the "
        ".json file of a combination.",
    ),
]
Batches = Annotated[int, typer.Option("--batches", min=1, help="Batches drawn, for proxies that compare batches.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same result.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, …")]
Explain = Annotated[
    bool, typer.Option("--explain", help="Say which proxy moved whom, and how much of the order is only size.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines instead of a table.")]


def command(function: Callable[P, None]) -> Callable[P, None]:
    """A subcommand whose errors are one line on stderr: exit code 2 for bad input, 130 after Ctrl-C."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except ZerocostError as error:
            fail(str(error), BAD_INPUT)
        except KeyboardInterrupt as stop:
            fail(str(stop) or "interrupted", INTERRUPTED)
        except SystemExit:  # how the trainer ends at SIGTERM
            fail("terminated before the end", TERMINATED)
        except BrokenPipeError:
            sys.stdout = None  # the reader has gone; nothing is left to flush
            raise typer.Exit(0) from None

    return run


def nothing_ran(proxies: Iterable[Proxy], scored: Container[str]) -> bool:
    """Whether every proxy that has to run the network failed, as when the data does not fit it."""
    running = [p.name for p in proxies if plan([p]).passes]
    return bool(running) and not any(name in scored for name in running)


def fail(message: str, code: int) -> NoReturn:
    """One line on stderr, then the exit code."""
    line = " ".join(message.split())
    err.print(Text.assemble(("error: ", "bold red"), line), soft_wrap=True)
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """One JSON object on stdout; numbers that JSON cannot hold become null."""

    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            return {str(key): plain(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [plain(inner) for inner in item]
        if isinstance(item, float) and not math.isfinite(item):
            return None
        return item if isinstance(item, str | int | float | bool | None) else str(item)

    sys.stdout.write(json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


class Rate(ProgressColumn):
    """Steps a second, or seconds a step when they are slow."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each", style="progress.data.speed")


@contextmanager
def progress_bar(titles: dict[str, str]) -> Iterator[Callable[[str, int, int], None]]:
    """A reporter `(stage, done, total)` that draws one bar a stage on stderr, with rate and time left.

    Nothing is drawn when stderr is not a terminal.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(titles[stage], total=total)
            bars.update(tasks[stage], completed=done)

        yield report
