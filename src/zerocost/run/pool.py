"""Worker processes: each sets the job up once, then scores one network at a time."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch

from zerocost.base.errors import InputError
from zerocost.proxies.registry import resolve
from zerocost.run.job import Job, Key, Scores

WORKER_DIED = (
    "a worker process died: it ran out of memory, cannot import what the space or a proxy is made of, or the script "
    'that started it has no `if __name__ == "__main__":` around the call; workers=1 shows which'
)


def start_pool(job: Job, workers: int) -> ProcessPoolExecutor:
    """Start the worker processes of a job, to which `score_in_worker` is submitted.

    Raises:
        InputError: the job cannot be sent to other processes.
    """
    try:
        payload = pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"the space or a proxy cannot be sent to other processes ({error}): define its functions at the top level "
            "of an importable file, name a proxy as my_proxy.py:mine, or use workers=1"
        ) from None
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _set_up_worker, (payload,))


_WORKER: dict[str, Callable[[Key, frozenset[str]], Scores]] = {}
"""In a worker process, `score` is the function of its job that scores a network."""


def _set_up_worker(payload: bytes) -> None:
    """Set up a worker process: one torch thread, Ctrl-C left to the main process, the user's proxies loaded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    job: Job = pickle.loads(payload)
    _WORKER["score"] = partial(job.score, resolve(job.proxies))


def _exit_with_parent() -> None:
    """End this worker process when the main process is killed; otherwise it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def score_in_worker(key: Key, wanted: frozenset[str]) -> Scores:
    """Score one network in a worker process."""
    return _WORKER["score"](key, wanted)
