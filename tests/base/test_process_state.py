from __future__ import annotations

import gc
import io
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.process_state import kept_process

CHANGES = {
    "directory": lambda: os.chdir("/"),
    "environment": lambda: os.environ.update({"ZEROCOST_TEST": "1", "HOME": "/nowhere"}),
    "variable taken away": lambda: os.environ.pop("HOME", None),
    "output": lambda: setattr(sys, "stdout", io.StringIO()),
    "errors": lambda: setattr(sys, "stderr", io.StringIO()),
    "numpy's print options": lambda: np.set_printoptions(precision=2),
    "numpy errors": lambda: np.seterr(all="raise"),
    "garbage collection": gc.disable,
    "recursion limit": lambda: sys.setrecursionlimit(3000),
    "Ctrl-C": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
}


def state():
    return (
        *(Path.cwd(), dict(os.environ), np.geterr(), gc.isenabled(), sys.getrecursionlimit()),
        *(signal.getsignal(signal.SIGINT), sys.stdout, sys.stderr, np.get_printoptions()),
    )


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_block_changes_comes_back(change):
    before = state()
    with pytest.raises(ZeroDivisionError), kept_process():
        change()
        assert state() != before
        raise ZeroDivisionError
    assert state() == before


def test_standard_streams_that_are_closed_are_opened_again():
    script = (
        "import sys\nfrom zerocost.base.process_state import kept_process\n"
        "with kept_process():\n    sys.stdout.close()\n    sys.stderr.close()\n"
        "print('é')\nprint('and there', file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert (ran.stdout, ran.stderr) == ("é\n", "and there\n")


def test_another_thread_leaves_the_handler_of_ctrl_c_alone():
    def run():
        with kept_process():
            os.chdir("/")

    before = state()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert state() == before


def test_a_directory_that_is_gone_stays_so(tmp_path):
    with kept_process():
        gone = tmp_path / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        with kept_process():
            pass
        with kept_process():
            os.chdir(tmp_path)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("when", ["built", "run"])
def test_no_candidate_changes_the_process_of_a_ranking(change, when):
    class Changing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)
            if when == "built":
                change()

        def forward(self, x):
            if when == "run":
                change()
            return self.layer(x)

    before, batch = state(), (torch.randn(4, 4), torch.arange(4) % 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = zc.rank({"one": Changing, "two": Changing}, data=batch, proxies="snip,near,peak_memory")
    assert state() == before and not len(table.failures)
