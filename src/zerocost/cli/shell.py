"""How the shell command ends: an exit code, and one line on stderr where something went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from zerocost.base.errors import DiskFullError, ZerocostError, describe_nearest, unknown
from zerocost.base.files import write_error
from zerocost.base.interrupt import INTERRUPTED, raise_at_interrupt
from zerocost.engine.plan import plan
from zerocost.engine.proxy import Proxy

NOTHING_FOUND, FULL, BAD_INPUT, _TERMINATED = 1, 1, 2, 143
err = Console(stderr=True)
_UsageError: Any = typer.BadParameter.__base__
"""What typer raises for any wrong use of options and arguments."""


class Shell(TyperGroup):
    """A group of subcommands whose every end is an exit code, with one line on stderr unless all is well."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The subcommand that is named first; `InputError` with the nearest ones if there is none."""
        if args and args[0] not in self.commands:
            raise unknown("command", args[0], self.commands, "`zerocost --help`")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand; what it raises becomes the line."""
        with _one_line():
            raise_at_interrupt()
            return super().invoke(ctx)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command with these arguments, and exit."""
        _open_streams()
        code = BAD_INPUT
        try:
            with _one_line():
                code = super().main(*args, **extra | {"standalone_mode": False}) or 0
            with _one_line():
                sys.stdout.flush()
        except typer.Exit as end:
            code = code or end.exit_code
        sys.exit(code)


def fail(message: str, code: int) -> NoReturn:
    """One line on stderr, then the exit code."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.split()))
    with suppress(OSError):  # where stderr cannot be written to, the code has to do
        err.print(Text.assemble(("error: ", "bold red"), line), soft_wrap=True)
    raise typer.Exit(code)


def nothing_ran(proxies: Iterable[Proxy], scored: Container[str]) -> bool:
    """Whether every proxy that has to run the network failed, as when the data does not fit it."""
    running = [p.name for p in proxies if plan([p]).passes]
    return bool(running) and not any(name in scored for name in running)


@contextmanager
def _one_line() -> Iterator[None]:
    """What is raised inside becomes one line on stderr and `typer.Exit`."""
    try:
        yield
    except DiskFullError as error:
        fail(str(error), FULL)
    except ZerocostError as error:
        fail(str(error), BAD_INPUT)
    except _UsageError as error:
        if not error.format_message():  # a group without a subcommand, whose help was printed
            raise typer.Exit(BAD_INPUT) from None
        fail(_usage_text(error), BAD_INPUT)
    except KeyboardInterrupt as stop:
        fail(str(stop) or "interrupted", INTERRUPTED)
    except (BrokenPipeError, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != 1:  # how the trainer ends at SIGTERM
            fail("terminated before the end", _TERMINATED)
        _discard_output()  # the reader has gone, which rich tells by the exit code 1
        raise typer.Exit(0) from None
    except OSError as error:
        _discard_output()
        problem = write_error(error.filename or "the output", error)
        fail(str(problem), FULL if isinstance(problem, DiskFullError) else BAD_INPUT)
    except MemoryError as error:
        fail(f"out of memory: {error}", BAD_INPUT)


def _usage_text(error: Any) -> str:
    """A wrong use of options in one line, with where to read about them."""
    option, command = getattr(error, "option_name", None), error.ctx.command_path if error.ctx else "zerocost"
    known = [name for one in _parameters(error) for name in one.opts if name.startswith("--")]
    if option and hasattr(error, "possibilities"):
        return f"unknown option {option!r}; {describe_nearest(option, known, f'`{command} --help`')}"
    text = error.format_message().rstrip(".")
    if "unexpected extra argument" in text and "--space" in known:
        text += "; a space is given as --space NAME"
    return f"{text[:1].lower()}{text[1:]}; `{command} --help` explains"


def _parameters(error: Any) -> list[Any]:
    """The options and arguments of the command that was used wrongly."""
    return error.ctx.command.get_params(error.ctx) if error.ctx else []


def _open_streams() -> None:
    """Let any text be printed, whatever the encoding, and see that there is a place for it.

    Raises:
        SystemExit: stdout is closed.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123  for the rest of the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        try:
            fail("stdout is closed: there is nowhere to print to", BAD_INPUT)
        except typer.Exit as end:
            sys.exit(end.exit_code)


def _discard_output() -> None:
    """Let what is still to be printed go nowhere, so that Python does not try it again at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
