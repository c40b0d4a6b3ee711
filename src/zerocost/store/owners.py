"""Owners of claims: processes, on any machine, and whether they still exist."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

LONGEST_SILENCE = 300.0
"""Seconds without a sign of life after which an owner counts as gone, whatever machine it was on."""


class LifeSign(NamedTuple):
    """The last sign of life of an owner.

    Attributes:
        machine: as `machine_id` gives it.
        pid: of its process.
        born: when the process was started, as `start_time` gives it.
        silent: seconds since the sign.
    """

    machine: str
    pid: int
    born: str
    silent: float


def this_process() -> dict[str, str | int]:
    """This process as an owner: machine, process id and start."""
    pid = os.getpid()
    return {"machine": machine_id(), "pid": pid, "born": start_time(pid) or ""}


def is_gone(sign: LifeSign) -> bool:
    """Whether an owner will not come back: its process on this machine has ended, or it was silent for too long."""
    return sign.silent > LONGEST_SILENCE or (sign.machine == machine_id() and start_time(sign.pid) != sign.born)


@cache
def machine_id() -> str:
    """What process ids are unique in: the host, and on Linux this boot of it and the namespace of the ids."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        boot, ids = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
        parts += [boot.read_text().strip(), str(ids.readlink())]
    return " ".join(parts)


def start_time(pid: int) -> str | None:
    """When a process of this machine was started, as text that tells it from a later one of the same id.

    None for a process that does not exist. Where the system does not say, "" for one that may exist.
    """
    if Path("/proc/self/stat").is_file():
        try:
            state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if state in "ZX" else rest[18]
    if os.name == "posix":
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
    return ""
