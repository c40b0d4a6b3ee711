"""Calls of one function in other processes; when one of these dies, it is known which call was to blame."""

from __future__ import annotations

import math
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing
from typing import Any, NamedTuple, Protocol

from zerocost.base.errors import Failure, ZerocostError

Answer = tuple[Any, ZerocostError | None]
"""What a call returned, or the error that it raised."""

_AHEAD = 1000
"""Calls that `answers` makes before the first of them is answered, at least: others go on while one takes long."""


class WorkerDied(Failure):
    """A worker process ended during a call; the message says how."""


class WorkerLost(ZerocostError):
    """A worker is out of reach, as when its machine is switched off; its calls are not to blame."""


class Worker(Protocol):
    """A process that calls a function. `kill` may come from any thread, the rest comes from one."""

    def set_up(self) -> None:
        """Have the process load the function; raises what `ask` raises, and `InputError` if it cannot be loaded."""

    def ask(self, calls: Sequence[bytes]) -> Sequence[Answer]:
        """The answers to pickled arguments; raises `WorkerDied` or `WorkerLost`, also when it was killed."""

    def kill(self) -> None:
        """Have the process end at once, and do not wait for it."""

    def end(self) -> object:
        """End the process if it has not ended, and let go of it."""


class _Task(NamedTuple):
    arguments: bytes
    future: Future[Any]
    alone: bool = False
    """Whether it is suspected of having ended a process, and asked with no other."""


class Pool:
    """Worker processes that call a function. Each is started when it is first needed, and again after it has died.

    Quick calls go to a worker several at a time where that pays. If it dies of them, each is made again by itself. If
    it is out of reach, they are made again by others.

    Args:
        start: makes the worker of a place, counted from 0.
        size: how many workers there are at most.
        batch_seconds: about how long a worker is busy with the calls that it is given at a time; 0 gives it one.
        idle_seconds: how long a worker without calls is kept.

    >>> import operator
    >>> from zerocost.base.workers import Workers
    >>> pool = Workers(1).pool(lambda: operator.add)
    >>> pool.submit(1, 2).result()
    3
    >>> pool.close()
    """

    def __init__(
        self,
        start: Callable[[int], Worker],
        size: int,
        *,
        batch_seconds: float = 0.0,
        idle_seconds: float | None = None,
    ) -> None:
        self.size = size
        self._start, self._batch_seconds, self._idle_seconds = start, batch_seconds, idle_seconds
        self._condition = threading.Condition()
        self._waiting = deque[_Task]()
        self._threads: list[threading.Thread] = []
        self._workers: dict[int, Worker] = {}
        self._call_seconds = math.inf
        self._idle = 0
        self._proven = self._closed = False

    @property
    def room(self) -> int:
        """How many calls may be under way so that no worker waits for one."""
        return 3 * self.size * self._batch

    @property
    def _batch(self) -> int:
        return max(1, int(self._batch_seconds / self._call_seconds))

    def submit(self, *arguments: Any) -> Future[Any]:
        """Call the function in a worker process.

        The future raises `WorkerDied` when the process ends meanwhile, and the errors of this library that the function
        raises, or `Failure` for a `KeyboardInterrupt`; `InputError` or `ZerocostError` when no worker can be set up.
        """
        task = _Task(pickle.dumps(arguments), Future())
        with self._condition:
            if self._closed:
                raise WorkerDied("the workers were ended")
            self._waiting.append(task)
            if self._idle < len(self._waiting) and len(self._threads) < self.size:
                name = f"zerocost-worker-{len(self._threads)}"
                thread = threading.Thread(target=self._serve, args=(len(self._threads),), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._condition.notify()
        return task.future

    def ask(self, *arguments: Any) -> Any:
        """What the function returns, or the `Failure` that it raises; one also where the process dies, twice."""
        return self._outcome(self.submit(*arguments), arguments)

    def answers(self, calls: Iterable[tuple[Any, ...]]) -> Generator[Any]:
        """What `ask` gives for the arguments of each call, in their order; the pool is closed with the last one."""
        with closing(self):
            yield from self.each(calls)

    def each(self, calls: Iterable[tuple[Any, ...]]) -> Generator[Any]:
        """The same, and the workers wait for more calls."""
        waiting = deque[tuple[Future[Any], tuple[Any, ...]]]()
        for arguments in calls:
            waiting.append((self.submit(*arguments), arguments))
            while waiting and (waiting[0][0].done() or len(waiting) >= max(_AHEAD, self.room)):
                yield self._outcome(*waiting.popleft())
        while waiting:
            yield self._outcome(*waiting.popleft())

    def close(self) -> None:
        """End the worker processes, whatever they are doing."""
        with self._condition:
            self._closed = True
            for worker in self._workers.values():
                worker.kill()
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()
        for task in self._waiting:
            if not task.future.cancel():
                task.future.set_exception(WorkerDied("the workers were ended"))
        self._waiting.clear()

    def _outcome(self, future: Future[Any], arguments: tuple[Any, ...]) -> Any:
        try:
            try:
                return future.result()
            except WorkerDied:
                return self.submit(*arguments).result()
        except WorkerDied as death:
            return Failure(f"its worker process died twice: {death}")
        except Failure as reason:
            return reason

    def _serve(self, place: int) -> None:
        """Have one worker at a time make calls, until the pool is closed."""
        while self._wait(place):
            tasks: list[_Task] = []
            try:
                worker = self._workers.get(place) or self._start_worker(place)
                tasks = self._take()
                start = time.monotonic()
                found = worker.ask([task.arguments for task in tasks]) if tasks else []
            except WorkerLost:
                self._end_worker(place)
                self._put_back(tasks)
            except WorkerDied as death:
                self._end_worker(place)
                if len(tasks) > 1:
                    self._put_back([task._replace(alone=True) for task in tasks])
                else:
                    _refuse(tasks or self._take(1), death)
            except Exception as error:  # noqa: BLE001  it is raised where the answer is awaited
                self._end_worker(place)
                _refuse(tasks or self._take(1), error)
            else:
                if tasks:
                    self._call_seconds = (time.monotonic() - start) / len(tasks)
                for task, (value, raised) in zip(tasks, found, strict=True):
                    if raised is None:
                        task.future.set_result(value)
                    else:
                        task.future.set_exception(raised)
        self._end_worker(place)

    def _wait(self, place: int) -> bool:
        """Wait for a call; whether one came before the pool was closed."""
        with self._condition:
            self._idle += 1
            while not self._waiting and not self._closed:
                if not self._condition.wait(self._idle_seconds) and place in self._workers:
                    self._end_worker(place)
            self._idle -= 1
            return not self._closed

    def _take(self, most: int | None = None) -> list[_Task]:
        """Some of the calls that wait: a fair share of them, so that all workers end together."""
        taken: list[_Task] = []
        with self._condition:
            count = min(most or self._batch, math.ceil(len(self._waiting) / self.size))
            while len(taken) < count and self._waiting and not (taken and (taken[0].alone or self._waiting[0].alone)):
                task = self._waiting.popleft()
                if task.future.running() or task.future.set_running_or_notify_cancel():
                    taken.append(task)
        return taken

    def _put_back(self, tasks: Sequence[_Task]) -> None:
        with self._condition:
            self._waiting.extendleft(reversed(tasks))
            self._condition.notify(len(tasks))

    def _start_worker(self, place: int) -> Worker:
        """A new worker that is set up."""
        with self._condition:
            if self._closed:
                raise WorkerDied("the workers were ended")
            worker = self._workers[place] = self._start(place)
        try:
            worker.set_up()
        except WorkerDied as death:
            if self._proven or self._closed:
                raise
            raise ZerocostError(
                f"a worker process ended while it loaded the networks and the proxies: {death}; workers=1 shows why"
            ) from None
        self._proven = True
        return worker

    def _end_worker(self, place: int) -> None:
        with self._condition:
            worker = self._workers.pop(place, None)
        if worker is not None:
            worker.end()


def _refuse(tasks: Iterable[_Task], error: Exception) -> None:
    for task in tasks:
        task.future.set_exception(error)
