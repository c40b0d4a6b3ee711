"""A worker process on a Ray cluster, and the way to the cluster."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from zerocost.base.device import check_device
from zerocost.base.errors import InputError, MissingExtraError, ZerocostError, describe_error
from zerocost.base.pool import Answer, WorkerDied, WorkerLost
from zerocost.base.version import VERSION
from zerocost.base.worker import Function, call, load

_CAUSES = " Some common causes include"
"""Where what Ray says of a death becomes general advice."""

_ADVICE = (
    "; start one with `ray start --head` and use 'auto' there, its address as HOST:PORT elsewhere, or 'local' for one "
    "that ends with this process"
)
_PATIENCE = 5.0
"""Seconds that a cluster has to accept a connection."""


def cluster_size(address: str, resource: str) -> int:
    """How many of a resource, "CPU" or "GPU", the cluster at an address has.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no such cluster, or it has none of the resource.
    """
    _connect(address)
    import ray

    found = int(ray.cluster_resources().get(resource, 0))
    if not found:
        raise InputError(f"the Ray cluster has no {resource}; add a node that has one, or choose another device")
    return found


def _connect(address: str) -> None:
    """Connect this process to a cluster, unless it is connected to one already; it stays so until it ends."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("Ray needs the extra ray: pip install 'zerocost[ray]'") from error
    if ray.is_initialized():
        return
    _check_reachable(address)
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"there is no Ray cluster at {address!r}: {describe_error(error)}{_ADVICE}") from None


def _check_reachable(address: str) -> None:
    """`InputError` for HOST:PORT where nobody answers, which Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if "://" in address or address in ("auto", "local"):
        return
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except (OSError, ValueError) as error:
        reason = describe_error(error) if colon else "it is not HOST:PORT"
        raise InputError(f"there is no Ray cluster at {address!r}: {reason}{_ADVICE}") from None


class _Sent(NamedTuple):
    """What a process of the cluster needs to be like this one.

    Attributes:
        function: sets the function up.
        sources: the user's own files, for nodes that do not have them, by their places below `folder`.
        folder: this process's working directory.
        path: where it imports from.
        device: the device that the function uses.
        versions: of zerocost and torch, with which scores may change.
    """

    function: Function
    sources: dict[str, bytes]
    folder: str
    path: list[str]
    device: str | None
    versions: dict[str, str]


class RayWorkers:
    """What starts workers on the cluster that this process is connected to.

    What they need is stored once in the cluster, not sent to each of them.

    Args:
        function: what sets the function up.
        device: the device that it uses; for "cuda" each worker gets a GPU of its own.
    """

    def __init__(self, function: Function, device: str | None) -> None:
        import ray

        folder = Path.cwd()
        inside = [Path(file) for file in function.files if Path(file).is_relative_to(folder)]
        sources = {str(file.relative_to(folder)): file.read_bytes() for file in inside}
        sent = _Sent(function, sources, str(folder), sys.path, device, _versions())
        self.sent = ray.put(sent)
        self.kind = ray.remote(_Actor).options(num_cpus=1, num_gpus=int(device == "cuda"))

    def start(self, _place: int) -> _RayWorker:
        """A new worker; it waits until the cluster has room for it."""
        return _RayWorker(self)


class _RayWorker:
    """One worker process on a cluster, as the main process sees it; a `zerocost.base.pool.Worker`."""

    def __init__(self, workers: RayWorkers) -> None:
        self.actor, self.sent = workers.kind.remote(), workers.sent
        self.node: str | None = None
        self.killed = False

    def set_up(self) -> None:
        """Have the process load the function."""
        self.node, error = self._get(self.actor.set_up.remote(self.sent))
        if error is not None:
            raise error

    def ask(self, calls: Sequence[bytes]) -> list[Answer]:
        """The answers to pickled arguments."""
        found: list[Answer] = self._get(self.actor.call.remote(list(calls)))
        return found

    def kill(self) -> None:
        """Have the process end at once."""
        import ray

        self.killed = True
        ray.kill(self.actor)

    end = kill

    def _get(self, answer: Any) -> Any:
        """What a call of the actor returns, once it has."""
        import ray
        from ray.exceptions import ActorUnavailableError, RayActorError, RayError

        try:
            return pickle.loads(ray.get(answer))
        except ActorUnavailableError as error:  # the way there broke, as when a node is lost
            if self.killed:
                raise WorkerDied("it was killed") from None
            raise WorkerLost(str(error)) from None
        except RayActorError as error:
            if self.killed:
                raise WorkerDied("it was killed") from None
            if self.node and self.node not in {node["NodeID"] for node in ray.nodes() if node["Alive"]}:
                raise WorkerLost(str(error)) from None
            raise WorkerDied(str(error).strip().splitlines()[-1].partition(_CAUSES)[0]) from None
        except RayError as error:
            raise ZerocostError(f"Ray failed: {describe_error(error)}") from error


class _Actor:
    """In a process of the cluster: sets the function up once, then calls it."""

    def set_up(self, sent: _Sent) -> bytes:
        """The id of this node, and the error that keeps the function from being set up, pickled."""
        import ray

        error = None
        try:
            self.function = self._load(sent)
        except ZerocostError as reason:
            error = reason
        return pickle.dumps((ray.get_runtime_context().get_node_id(), error))

    def call(self, calls: list[bytes]) -> bytes:
        """The answers to pickled arguments, pickled."""
        return pickle.dumps([call(self.function, pickle.loads(arguments)) for arguments in calls])

    def _load(self, sent: _Sent) -> Any:
        torch.set_num_threads(1)
        if (here := _versions()) != sent.versions:
            raise InputError(f"a node of the Ray cluster has {here}, this process {sent.versions}; install the same")
        check_device(sent.device)
        sys.path += [folder for folder in sent.path if folder not in sys.path]
        folder = Path(sent.folder)
        if not folder.is_dir():
            folder = Path(tempfile.mkdtemp(prefix="zerocost-"))
            for name, source in sent.sources.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(source)
        os.chdir(folder)
        moved = {str(Path(sent.folder, name)): str(folder / name) for name in sent.sources}
        return load(sent.function._replace(files=[moved.get(file, file) for file in sent.function.files]))


def _versions() -> dict[str, str]:
    return {"zerocost": VERSION, "torch": torch.__version__}
