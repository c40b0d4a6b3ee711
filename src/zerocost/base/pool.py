"""Worker processes, each with one call at a time, so that it is known whose fault it is when one dies."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

import cloudpickle

from zerocost.base.errors import Failure, InputError, ZerocostError, describe_error
from zerocost.base.user_code import loaded_files

_START = "import sys; sys.path[:] = {path!r}; from zerocost.base.worker import serve; serve()"
_PATIENCE = 1.0
"""Seconds that a worker whose pipes are closed has to end."""
_POLL = 0.1
"""Seconds between two looks at whether a worker that computes was killed, after which its pipes may stay open."""


class WorkerDied(Failure):
    """A worker process ended during a call; the message says how."""


class Pool:
    """Worker processes that call a function. Each is started when it is first needed, and again after it has died.

    Functions and classes of the main program, of a notebook or of other functions are sent by value (cloudpickle).
    The processes do not run the main program, so that a script needs no ``if __name__ == "__main__":``. They have one
    torch thread each, are not reached by Ctrl-C, and end with the main process.

    Args:
        set_up: is called once in each process and returns the function.
        workers: how many processes there are at most.

    Raises:
        InputError: `set_up` cannot be sent to other processes.

    >>> import operator
    >>> pool = Pool(lambda: operator.add, 1)
    >>> pool.submit(1, 2).result()
    3
    >>> pool.close()
    """

    def __init__(self, set_up: Callable[[], Callable[..., Any]], workers: int) -> None:
        try:
            sent = cloudpickle.dumps(set_up)
        except Exception as error:
            raise InputError(
                f"the networks, the data or a proxy cannot be sent to other processes ({describe_error(error)}): it "
                "holds what cannot leave its process, such as a lock, an open file or a generator; make that where it "
                "is used, or use workers=1"
            ) from error
        files = [file for name, file in loaded_files().items() if name.encode() in sent]
        self._set_up = pickle.dumps((files, sent))
        self._threads = ThreadPoolExecutor(workers, "zerocost-worker")
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._idle = deque[_Worker]()
        self._proven = self._closed = False

    def submit(self, *arguments: Any) -> Future[Any]:
        """Call the function in a worker process.

        The future raises `WorkerDied` when the process ends meanwhile, and the errors of this library that the function
        raises, or `Failure` for a `KeyboardInterrupt`; `InputError` or `ZerocostError` when no worker can be set up.
        """
        return self._threads.submit(self._call, pickle.dumps(arguments))

    def ask(self, *arguments: Any) -> Any:
        """What the function returns, or the `Failure` that it raises; one also where the process dies, twice."""
        try:
            try:
                return self.submit(*arguments).result()
            except WorkerDied:
                return self.submit(*arguments).result()
        except WorkerDied as death:
            return Failure(f"its worker process died twice: {death}")
        except Failure as reason:
            return reason

    def close(self) -> None:
        """End the worker processes, whatever they are doing."""
        with self._lock:
            self._closed = True
            ending, self._workers = self._workers, set()
        for worker in ending:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)  # first, as they may be reading from the pipes
        for worker in ending:
            worker.end()

    def _call(self, arguments: bytes) -> Any:
        """Have an idle or a new worker call the function."""
        try:
            worker = self._idle.popleft()
        except IndexError:
            worker = self._start()
        try:
            value = worker.ask(arguments)
        except WorkerDied:
            with self._lock:
                self._workers.discard(worker)
            raise
        except ZerocostError:
            self._idle.append(worker)
            raise
        self._idle.append(worker)
        return value

    def _start(self) -> _Worker:
        """A new worker that is set up."""
        with self._lock:
            if self._closed:
                raise WorkerDied("the workers were ended")
            worker = _Worker()
            self._workers.add(worker)
        try:
            worker.ask(self._set_up)
        except WorkerDied as death:
            if self._proven or self._closed:
                raise
            raise ZerocostError(
                f"a worker process ended while it loaded the networks and the proxies: {death}; workers=1 shows why"
            ) from None
        self._proven = True
        return worker


def answers(set_up: Callable[[], Callable[..., Any]], calls: Iterable[tuple[Any, ...]], workers: int) -> Generator[Any]:
    """What `Pool.ask` gives for the arguments of each call, in their order; the workers end with the last one."""
    pool, threads = Pool(set_up, workers), ThreadPoolExecutor(workers)
    try:
        yield from threads.map(lambda arguments: pool.ask(*arguments), calls)
    finally:
        pool.close()
        threads.shutdown(cancel_futures=True)


class _Worker:
    """One worker process, as the main process sees it."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", _START.format(path=sys.path)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=0)
        self.killed = threading.Event()

    def ask(self, frame: bytes) -> Any:
        """What the process answers to a frame."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            pickle.dump(frame, self.process.stdin)
            self.process.stdin.flush()
            while not wait([self.process.stdout.fileno()], _POLL):
                if self.killed.is_set():
                    raise EOFError
            value, error = pickle.load(self.process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            raise WorkerDied("it was killed" if self.killed.is_set() else self.end()) from None
        if error is not None:
            raise error
        return value

    def kill(self) -> None:
        """Have the process end at once. On a machine with much to do that takes seconds, which nobody waits for."""
        self.killed.set()
        self.process.kill()

    def end(self) -> str:
        """How the process ended; it is killed if it has not."""
        patience = 0 if self.killed.is_set() else _PATIENCE
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            threading.Thread(target=self.process.wait, daemon=True).start()
            code = -signal.SIGKILL
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what it has not read any more
                pipe.close()
        if code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name
        return f"{name}, as when memory runs out" if name == "SIGKILL" else name
