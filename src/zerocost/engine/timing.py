"""What time is measured by, and where that of watchers is noted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any


@dataclass(frozen=True)
class Timing:
    """How a scoring is timed.

    Attributes:
        clock: gives seconds.
        watchers: by watcher, the seconds that it took; None where nobody asks.
    """

    clock: Callable[[], float] = time.perf_counter
    watchers: dict[str, float] | None = None

    def timed(self, name: str, function: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
        """A function whose time is added up in `spent`.

        >>> spent = {}
        >>> Timing().timed("sum", sum, spent)([1, 2]), list(spent)
        (3, ['sum'])
        """

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            start = self.clock()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] = spent.get(name, 0.0) + self.clock() - start

        return call


TIMING: ContextVar[Timing] = ContextVar("timing", default=Timing())  # noqa: B039  nothing is written into it
