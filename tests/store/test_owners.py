from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zerocost.store import owners
from zerocost.store.owners import Sign, born, gone, machine


def test_a_process_is_known_until_it_ends():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = born(process.pid)
    assert start is not None
    assert not gone(Sign(machine(), process.pid, start, 1.0))
    process.communicate(b"\n")
    assert born(process.pid) is None
    assert gone(Sign(machine(), process.pid, start, 1.0))
    assert not gone(Sign("another machine", process.pid, start, 1.0))


def test_silence_counts_wherever_the_process_is():
    here = owners.this()
    assert not gone(Sign(**here, silent=owners.SILENCE - 1))
    assert gone(Sign(**here, silent=owners.SILENCE + 1))
    assert gone(Sign("another machine", 1, "", owners.SILENCE + 1))


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="only Linux tells when a process was started")
def test_a_later_process_of_the_same_id_is_another():
    assert gone(Sign(machine(), os.getpid(), "long ago", 1.0))
