"""Worker processes that several functions share, so that there are no more of them than was asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from zerocost.base.pool import Pool
from zerocost.base.workers import Workers

_SetUp = Callable[[], Callable[..., Any]]


class SharedPool:
    """Worker processes that call several functions. Each is set up in a process when it is first called there.

    A function that is named after the first call has the processes start again, so name it when no call is under way.

    Args:
        workers: where the processes are.

    >>> import operator
    >>> shared = SharedPool(Workers(1))
    >>> add, negate = shared.part("add", lambda: operator.add), shared.part("negate", lambda: operator.neg)
    >>> add.submit(1, 2).result(), negate.submit(1).result()
    (3, -1)
    >>> shared.close()
    """

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self._set_ups: dict[str, _SetUp] = {}

    @cached_property
    def pool(self) -> Pool:
        """The processes, which are started when they are needed."""
        return self.workers.pool(partial(_set_up_all, dict(self._set_ups)))

    def part(self, name: str, set_up: _SetUp) -> PoolPart:
        """What calls one function; `set_up` returns it, in each process. The first of a name counts."""
        if name not in self._set_ups:
            self.close()
            self._set_ups[name] = set_up
        return PoolPart(self, name)

    def close(self) -> None:
        """End the processes; another call starts new ones."""
        if "pool" in vars(self):
            self.pool.close()
            del self.pool


@dataclass(frozen=True)
class PoolPart:
    """One function of a `SharedPool`, called as that of a `Pool` is."""

    shared: SharedPool
    name: str

    @property
    def room(self) -> int:
        """How many calls may be under way so that no worker waits for one."""
        return self.shared.pool.room

    def submit(self, *arguments: Any) -> Future[Any]:
        """Call the function in a worker process, as `Pool.submit` does."""
        return self.shared.pool.submit(self.name, *arguments)

    def close(self) -> None:
        """End the processes, for the other functions too."""
        self.shared.close()


def _set_up_all(set_ups: dict[str, _SetUp]) -> Callable[..., Any]:
    """In a worker process: a function that calls one of several by its name."""
    ready: dict[str, Callable[..., Any]] = {}

    def call(name: str, *arguments: Any) -> Any:
        if name not in ready:
            ready[name] = set_ups[name]()
        return ready[name](*arguments)

    return call
