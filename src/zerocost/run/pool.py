"""Processes that score: each sets the job up once, then takes one network at a time."""

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

DIED = (
    "a worker process died: it ran out of memory, cannot import what the space or a proxy is made of, or the script "
    'that started it has no `if __name__ == "__main__":` around the call; workers=1 shows which'
)


def started(job: Job, workers: int) -> ProcessPoolExecutor:
    """The processes of a job, to which `work` is submitted.

    Raises `InputError` when the job cannot be sent to other processes.
    """
    try:
        payload = pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"the space or a proxy cannot be sent to other processes ({error}): define its functions at the top level "
            "of an importable file, name a proxy as my_proxy.py:mine, or use workers=1"
        ) from None
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), begin, (payload,))


JOB: dict[str, Callable[[Key, frozenset[str]], Scores]] = {}
"""In a worker process: the one function of its job."""


def begin(payload: bytes) -> None:
    """Set up a worker process: one torch thread, Ctrl-C left to the main process, the user's proxies loaded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()
    torch.set_num_threads(1)
    job: Job = pickle.loads(payload)
    JOB["score"] = partial(job.score, resolve(job.proxies))


def follow() -> None:
    """End this worker process when the main process has been killed, which would leave it waiting for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def work(key: Key, wanted: frozenset[str]) -> Scores:
    """Score one network in a worker process."""
    return JOB["score"](key, wanted)
