from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zerocost.store import owners
from zerocost.store.owners import LifeSign, is_gone, machine_id, start_time


def test_a_process_is_known_until_it_ends():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = start_time(process.pid)
    assert start is not None
    assert not is_gone(LifeSign(machine_id(), process.pid, start, 1.0))
    process.communicate(b"\n")
    assert start_time(process.pid) is None
    assert is_gone(LifeSign(machine_id(), process.pid, start, 1.0))
    assert not is_gone(LifeSign("another machine", process.pid, start, 1.0))


def test_silence_counts_wherever_the_process_is():
    here = owners.this_process()
    assert not is_gone(LifeSign(**here, silent=owners.LONGEST_SILENCE - 1))
    assert is_gone(LifeSign(**here, silent=owners.LONGEST_SILENCE + 1))
    assert is_gone(LifeSign("another machine", 1, "", owners.LONGEST_SILENCE + 1))


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="only Linux tells when a process was started")
def test_a_later_process_of_the_same_id_is_another():
    assert is_gone(LifeSign(machine_id(), os.getpid(), "long ago", 1.0))
