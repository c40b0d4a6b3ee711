"""A worker process on this machine."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

from zerocost.base.pool import Answer, WorkerDied

_START = "import sys; sys.path[:] = {path!r}; from zerocost.base.worker import serve; serve()"
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
"""Has glibc keep up to 256 MB that one network has freed for the next, which are slow to get again, page by page."""
_PATIENCE = 1.0
"""Seconds that a worker whose pipes are closed has to end."""
_POLL = 0.1
"""Seconds between two looks at whether a worker that computes was killed, after which its pipes may stay open."""


class Process:
    """One worker process, as the main process sees it; a `zerocost.base.pool.Worker`.

    It does not run the main program, so that a script needs no ``if __name__ == "__main__":``. It has one torch thread,
    is not reached by Ctrl-C, and ends with the main process.

    Args:
        function: what sets the function up, as `zerocost.base.worker` takes it.
        gpu: the only GPU that the process sees, as in CUDA_VISIBLE_DEVICES; None for all of them.
    """

    def __init__(self, function: bytes, gpu: str | None = None) -> None:
        command = [sys.executable, "-c", _START.format(path=sys.path)]
        pipe = subprocess.PIPE
        environment = {**_MEMORY, **os.environ, **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})}
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, process_group=0)
        self.killed = threading.Event()
        self.function = function

    def set_up(self) -> None:
        """Have the process load the function."""
        _, error = self._ask(self.function)
        if error is not None:
            raise error

    def ask(self, calls: Sequence[bytes]) -> list[Answer]:
        """The answers to pickled arguments."""
        return [self._ask(arguments) for arguments in calls]

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

    def _ask(self, frame: bytes) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            pickle.dump(frame, self.process.stdin)
            self.process.stdin.flush()
            while not wait([self.process.stdout.fileno()], _POLL):
                if self.killed.is_set():
                    raise EOFError
            return pickle.load(self.process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            raise WorkerDied("it was killed" if self.killed.is_set() else self.end()) from None
