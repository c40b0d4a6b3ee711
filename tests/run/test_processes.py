"""Several real processes on one store."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from run.small import TEXTS, job, scores
from zerocost.run import Scorer
from zerocost.store import Store, owners

SCRIPT = """
import sys
from run.small import TEXTS, job, scores

if __name__ == "__main__":
    scores(job(sys.argv[1]), TEXTS, sys.argv[2], workers=int(sys.argv[3]))
"""
MAIN = """
import os, signal, sys, threading, time
from torch import nn
from run.small import job, scores
from zerocost import spaces
from zerocost.spaces import FULL

folder = sys.argv[1]


class Slow(nn.Linear):
    def forward(self, x):
        open(f"{folder}/{os.getpid()}", "w").close()
        time.sleep(1000)


def slow(choose):
    return Slow(1, choose.int("width", 1, 9))


def interrupt():
    while len(os.listdir(folder)) < 2:
        time.sleep(0.02)
    print(time.time(), flush=True)
    os.kill(os.getpid(), signal.SIGINT)


space = spaces.from_function(slow)
threading.Thread(target=interrupt).start()
try:
    scores(job("snip", space=space, fidelity=FULL, seeds=(0,)), [str(a) for a in space], workers=2)
except KeyboardInterrupt as stop:
    print(time.time(), stop)
"""
ALL = 2 * len(TEXTS)


@pytest.fixture
def another(tmp_path, noted):
    """Starts another process that scores the same into a store, and waits until it has begun."""
    running = []

    def start(place, workers):
        noted.write(pause=0.1)
        script = tmp_path / "script.py"
        script.write_text(SCRIPT)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen([sys.executable, script, noted.name, str(place), str(workers)], env=environment)
        running.append(process)
        until(lambda: noted.by_process().total() >= 2)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def until(true, seconds=60):
    late = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < late, "it took too long"
        time.sleep(0.02)


def test_two_processes_compute_every_score_once_and_both_have_them_all(place, noted, another):
    process = another(place, workers=1)
    found = scores(job(noted.name), TEXTS, place)
    assert process.wait(60) == 0
    computed = noted.by_process()
    assert computed.total() == ALL
    assert all(computed[pid] >= 3 for pid in (process.pid, os.getpid()))
    noted.write(pause=0)
    assert found == scores(job(noted.name), TEXTS)


def test_the_rest_of_a_killed_process_is_done_by_another(place, noted, another):
    process = another(place, workers=2)
    process.kill()
    process.wait()
    before = noted.by_process()
    until(lambda: all(owners.start_time(pid) is None for pid in before))
    before = noted.by_process()
    given = job(noted.name)
    with Store(place) as store, Scorer(given, store=store) as score:
        kept = sum(len(store.known(made)) for made in score.fingerprints.values())
        found = score(TEXTS)
    assert 0 < before.total() < ALL
    assert noted.by_process()[os.getpid()] == ALL - kept
    assert all(values["noted"].value for values in found.values())


def test_ctrl_c_ends_the_workers_of_a_script_at_once(tmp_path):
    """The script has no guard against being run again, and its space is its own."""
    script, seen = tmp_path / "script.py", tmp_path / "seen"
    script.write_text(MAIN)
    seen.mkdir()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, script, seen]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    started, stopped = ran.stdout.splitlines()
    assert stopped.endswith("interrupted; 0 of 9 networks were scored")
    assert float(stopped.split()[0]) - float(started) < 5
    assert all(owners.start_time(int(file.name)) is None for file in seen.iterdir())
