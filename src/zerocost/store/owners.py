"""Who holds a claim: a process of a machine, and whether it is still there."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

SILENCE = 300.0
"""Seconds without a sign of life after which an owner counts as gone, whatever machine it was on."""


class Sign(NamedTuple):
    """The last sign of life of an owner: its process, when that was started, and the seconds since."""

    machine: str
    pid: int
    born: str
    silent: float


def this() -> dict[str, str | int]:
    """Machine, process id and start of this process."""
    pid = os.getpid()
    return {"machine": machine(), "pid": pid, "born": born(pid) or ""}


def gone(sign: Sign) -> bool:
    """Whether an owner will never come back: its process has ended on this machine, or is silent for too long."""
    return sign.silent > SILENCE or (sign.machine == machine() and born(sign.pid) != sign.born)


@cache
def machine() -> str:
    """The machine as process ids mean it: its host name, and on Linux this boot and the namespace of the ids."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        boot, ids = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
        parts += [boot.read_text().strip(), str(ids.readlink())]
    return " ".join(parts)


def born(pid: int) -> str | None:
    """When a process of this machine was started, as text that tells it from a later one of the same id; None when
    there is none. Where the system does not say, "" stands for one that may be there."""
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
