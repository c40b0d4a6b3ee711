"""Where calls are made: in this process, in others of this machine, or on a Ray cluster."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from zerocost.base.device import check_device
from zerocost.base.errors import InputError
from zerocost.base.pool import Pool
from zerocost.base.process import Process
from zerocost.base.ray_worker import RayWorkers, cluster_size
from zerocost.base.whole import is_whole
from zerocost.base.worker import Function

_BATCH_SECONDS = 0.5
"""About how long a worker on Ray is busy with the calls that it is given at a time, which cost milliseconds."""
_IDLE_SECONDS = 5.0
"""How long a worker on Ray without calls keeps others from its CPU, those of the next stage of a search among them."""


@dataclass(frozen=True)
class Workers:
    """Where calls are made: in this process, in others of this machine, or on a Ray cluster.

    Attributes:
        number: how many processes; if None one, or with device "cuda" one for each GPU of this machine. On Ray, if
            None, one for each CPU of the cluster, or with device "cuda" for each GPU.
        ray: the cluster's address: "auto" for the one that this machine belongs to, HOST:PORT, or "local" for a new one
            on this machine. None for no Ray.
        device: where networks run. With "cuda", each process uses one GPU, a different one as long as there are enough.

    Raises:
        InputError: fewer than one process, or a device that cannot be used.
    """

    number: int | None = None
    ray: str | None = None
    device: str | torch.device | None = None

    def __post_init__(self) -> None:
        if self.number is not None and not is_whole(self.number):
            raise InputError(f"workers must be a whole number from 1 on, but got {self.number!r}")
        if self.ray is not None and not isinstance(self.ray, str):
            raise InputError(f"ray must be 'auto', 'local' or HOST:PORT, but got {self.ray!r}")
        if self.ray is None:
            check_device(self.device)
        elif str(self.device).startswith("cuda:"):
            raise InputError(f"device {str(self.device)!r} with ray: Ray gives each worker a GPU; use device='cuda'")

    @cached_property
    def count(self) -> int:
        """How many processes there are at most.

        Raises:
            MissingExtraError: Ray is not installed.
            InputError: there is no such cluster.
        """
        if self.ray is not None:
            found = cluster_size(self.ray, "GPU" if self._cuda else "CPU")
            return self.number or found
        return self.number or (max(1, torch.cuda.device_count()) if self._cuda else 1)

    @property
    def in_process(self) -> bool:
        """Whether this process makes the calls itself."""
        return self.ray is None and self.count == 1

    def pool(self, set_up: Callable[[], Callable[..., Any]]) -> Pool:
        """Worker processes that call a function; `set_up` is called once in each and returns it.

        Raises:
            MissingExtraError: Ray is not installed.
            InputError: there is no such cluster, or `set_up` cannot be sent to other processes.
        """
        function = Function.of(set_up)
        if self.ray is not None:
            count = self.count  # connects first
            start = RayWorkers(function, None if self.device is None else str(self.device)).start
            return Pool(start, count, batch_seconds=_BATCH_SECONDS, idle_seconds=_IDLE_SECONDS)
        sent, gpus = pickle.dumps(function), _visible_gpus() if self._cuda else [None]
        return Pool(lambda place: Process(sent, gpus[place % len(gpus)]), self.count)

    @property
    def _cuda(self) -> bool:
        return str(self.device) == "cuda"


def _visible_gpus() -> list[str | None]:
    """The GPUs of this machine, each as CUDA_VISIBLE_DEVICES names it; None for the only one."""
    count = torch.cuda.device_count()
    if count < 2:
        return [None]
    named = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    return [*named.split(",")[:count]]
