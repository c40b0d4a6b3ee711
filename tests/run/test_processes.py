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
