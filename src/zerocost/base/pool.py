"""Calls of one function in other processes; when one of these dies, it is known which call was to blame."""

from __future__ import annotations

import math
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from typing import Any, NamedTuple, Protocol

from zerocost.base.errors import Failure, ZerocostError

Answer = tuple[Any, ZerocostError | None]
"""What a call returned, or the error that it raised."""

_AHEAD = 1000
"""Calls that `answers` makes before the first of them is answered, at least: others go on while one takes long."""


class WorkerDied(Failure):
    """A worker process ended; the message says how."""


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
    single: bool = False
    """Whether a worker died of it or of others beside it, so that it is asked by itself."""
    alone: bool = False
    """Whether a worker died of it, so that it is asked with no other worker beside it."""


class Pool:
    """Worker processes that call a function. Each is started when it is first needed, and again after it has died.

    Quick calls go to a worker several at a time where that pays. If it dies of them, each is made again by itself. A
    call that a worker died of is made once more when no other waits, with no other worker beside it: they too take
    memory. If a worker is out of reach, its calls are made again by others.

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
        self._waiting, self._deadly = deque[_Task](), deque[_Task]()
        self._threads: list[threading.Thread] = []
        self._workers: dict[int, Worker] = {}
        self._call_seconds = math.inf
        self._idle = set[int]()
        self._busy = self._deaths = 0
        self._alone = self._closed = False

    @property
    def room(self) -> int:
        """How many calls may be under way so that no worker waits for one, besides those that wait for the others."""
        return 3 * self.size * self._batch + len(self._deadly)

    @property
    def _batch(self) -> int:
        return max(1, int(self._batch_seconds / self._call_seconds))

    def submit(self, *arguments: Any) -> Future[Any]:
        """Call the function in a worker process.

        The future raises `Failure` when two workers died of the call, the errors of this library that the function
        raises, or `Failure` for a `KeyboardInterrupt`; `InputError` or `ZerocostError` when no worker can be set up,
        and `WorkerDied` when the pool is closed.
        """
        task = _Task(pickle.dumps(arguments), Future())
        with self._condition:
            if self._closed:
                raise WorkerDied("the workers were ended")
            self._waiting.append(task)
            if len(self._idle) < len(self._waiting) and len(self._threads) < self.size:
                name = f"zerocost-worker-{len(self._threads)}"
                thread = threading.Thread(target=self._serve, args=(len(self._threads),), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._condition.notify()
        return task.future

    def ask(self, *arguments: Any) -> Any:
        """What the function returns, or the `Failure` that its future raises."""
        return _outcome(self.submit(*arguments))

    def answers(self, calls: Iterable[tuple[Any, ...]]) -> Generator[Any]:
        """What `ask` gives for the arguments of each call, in their order; the pool is closed with the last one."""
        with closing(self):
            yield from self.each(calls)

    def each(self, calls: Iterable[tuple[Any, ...]]) -> Generator[Any]:
        """The same, and the workers wait for more calls."""
        waiting = deque[Future[Any]]()
        for arguments in calls:
            waiting.append(self.submit(*arguments))
            while waiting and (waiting[0].done() or len(waiting) >= max(_AHEAD, self.room)):
                yield _outcome(waiting.popleft())
        while waiting:
            yield _outcome(waiting.popleft())

    def close(self) -> None:
        """End the worker processes, whatever they are doing."""
        with self._condition:
            self._closed = True
            for worker in self._workers.values():
                worker.kill()
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()
        for task in (*self._waiting, *self._deadly):
            if task.future.running() or task.future.set_running_or_notify_cancel():
                task.future.set_exception(WorkerDied("the workers were ended"))
        self._waiting.clear()
        self._deadly.clear()

    def _serve(self, place: int) -> None:
        """Have one worker at a time make calls, until the pool is closed."""
        while self._wait(place):
            tasks: list[_Task] = []
            try:
                worker = self._workers.get(place) or self._start_worker(place)
                tasks = self._take()
                start = time.monotonic()
                asked = worker.ask([task.arguments for task in tasks]) if tasks else []
                found = list(zip(tasks, asked, strict=True))
            except WorkerLost:
                self._end_worker(place)
                self._put_back(tasks)
            except WorkerDied as death:
                self._end_worker(place)
                self._try_again(tasks, death)
            except Exception as error:  # noqa: BLE001  it is raised where the answer is awaited
                self._end_worker(place)
                tasks = tasks or self._take(1)
                _refuse(tasks, error)
            else:
                if tasks:
                    self._call_seconds = (time.monotonic() - start) / len(tasks)
                for task, (value, raised) in found:
                    if raised is None:
                        task.future.set_result(value)
                    else:
                        task.future.set_exception(raised)
            if tasks:
                with self._condition:
                    self._busy -= 1
                    if self._alone:
                        self._alone = False
                        self._condition.notify_all()
            elif self._alone:
                self._end_worker(place)
        self._end_worker(place)

    def _wait(self, place: int) -> bool:
        """Wait for a call; whether one came before the pool was closed."""
        with self._condition:
            self._idle.add(place)
            while not self._has_calls and not self._closed:
                if not self._condition.wait(self._idle_seconds) and place in self._workers:
                    self._end_worker(place)
            self._idle.remove(place)
            return not self._closed

    @property
    def _has_calls(self) -> bool:
        """Whether there is a call for a worker that is idle."""
        if self._alone:
            return False
        return bool(self._waiting or (self._deadly and not self._busy))

    def _take(self, most: int | None = None) -> list[_Task]:
        """Some of the calls that wait: a fair share of them, so that all workers end together."""
        taken: list[_Task] = []
        with self._condition:
            if self._alone:
                return []
            if not self._waiting and self._deadly and not self._busy:
                self._alone = True
                for other in self._idle:
                    self._end_worker(other)
                taken.append(self._deadly.popleft())
            count = min(most or self._batch, math.ceil(len(self._waiting) / self.size))
            while len(taken) < count and self._waiting and not (taken and (taken[0].single or self._waiting[0].single)):
                task = self._waiting.popleft()
                if task.future.running() or task.future.set_running_or_notify_cancel():
                    taken.append(task)
            self._busy += bool(taken)
        return taken

    def _put_back(self, tasks: Sequence[_Task]) -> None:
        with self._condition:
            for task in reversed(tasks):
                (self._deadly if task.alone else self._waiting).appendleft(task)
            self._condition.notify_all()

    def _try_again(self, tasks: Sequence[_Task], death: WorkerDied) -> None:
        """Have the calls that a worker died of made again, by themselves, or refuse them."""
        if self._closed:
            _refuse(tasks, death)
        elif len(tasks) > 1:
            self._put_back([task._replace(single=True) for task in tasks])
        elif tasks and tasks[0].alone:
            why = f"its worker process died twice, the second time with no network beside it: {death}"
            _refuse(tasks, Failure(why))
        else:
            with self._condition:
                self._deadly += (task._replace(alone=True) for task in tasks)

    def _start_worker(self, place: int) -> Worker:
        """A new worker that is set up."""
        with self._condition:
            if self._closed:
                raise WorkerDied("the workers were ended")
            worker = self._workers[place] = self._start(place)
        try:
            worker.set_up()
        except WorkerDied as death:
            self._deaths += 1
            if self._closed or self._deaths <= self.size:  # it may have been killed
                raise
            raise ZerocostError(
                f"a worker process ended while it loaded the networks and the proxies: {death}; workers=1 shows why"
            ) from None
        self._deaths = 0
        return worker

    def _end_worker(self, place: int) -> None:
        with self._condition:
            worker = self._workers.pop(place, None)
        if worker is not None:
            with suppress(Exception):  # what cannot be ended is let go: no call may wait for it
                worker.kill()
                worker.end()


def _outcome(future: Future[Any]) -> Any:
    """What a call returned, or the `Failure` that it raised."""
    try:
        return future.result()
    except Failure as reason:
        return reason


def _refuse(tasks: Iterable[_Task], error: Exception) -> None:
    for task in tasks:
        task.future.set_exception(error)
