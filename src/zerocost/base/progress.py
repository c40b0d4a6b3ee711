"""Progress of long calls: bars at a terminal or in a notebook, or a function of the caller's."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from zerocost.base.errors import InputError
from zerocost.base.process_state import kept

if TYPE_CHECKING:
    from rich.progress import Task

with kept([(random.getstate, random.setstate)]):
    # It draws numbers of Python's when it is first imported, which scikit-learn and Lightning would do halfway.
    import rich.default_styles  # noqa: F401

StageProgress = Callable[[str, int, int], object]
"""Called with a stage, the number of its steps that are done, and their total."""
StepProgress = Callable[[int, int], object]
"""Called with the number of steps that are done, and their total."""


@contextmanager
def report_stages(progress: StageProgress | bool | None, titles: Mapping[str, str]) -> Iterator[StageProgress]:
    """The function to report the steps of several stages to.

    Args:
        progress: the caller's function; or whether one bar a stage is drawn on stderr or, in a notebook, below the
            cell; None draws them where stderr is a terminal.
        titles: what is written before the bar of each stage.

    Raises:
        InputError: `progress` is something else.

    >>> with report_stages(lambda *step: print(*step), {}) as report:
    ...     report("score", 1, 2)
    score 1 2
    """
    if callable(progress):
        yield progress
    elif _bars_wanted(progress):
        with _bars(titles) as report:
            yield report
    else:
        yield lambda stage, done, total: None


@contextmanager
def report_steps(progress: StepProgress | bool | None, title: str) -> Iterator[StepProgress]:
    """`report_stages` for a single stage, whose name the function does not take."""
    if callable(progress):
        yield progress
        return
    with report_stages(progress, {title: title}) as report:
        yield partial(report, title)


def _bars_wanted(progress: bool | None) -> bool:
    """Whether to draw bars."""
    if progress is None:
        return sys.stderr is not None and sys.stderr.isatty()
    if not isinstance(progress, bool):
        raise InputError(f"progress must be True, False, None or a function, but got {progress!r}")
    return progress


@contextmanager
def _bars(titles: Mapping[str, str]) -> Iterator[StageProgress]:
    """One bar a stage, with rate and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second, or seconds a step when they are slow."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            if not speed:
                return Text("")
            return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each", style="progress.data.speed")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(titles[stage], total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report
