from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import closing
from functools import partial

import pytest

from zerocost.base.errors import Failure, InputError, ZerocostError
from zerocost.base.pool import WorkerDied
from zerocost.base.workers import Workers


def test_a_pool_calls_a_function_whatever_it_does(capfd):
    offset = 10

    def call(what):
        if what == "ends":
            os._exit(3)
        if what == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "reads":
            return input()
        if isinstance(what, BaseException):
            raise what
        sys.stdout.write(f"printed {what}\n")
        sys.stdout.flush()
        return os.getpid(), what + offset

    with closing(Workers(1).pool(lambda: call)) as pool:
        first, value = pool.submit(1).result()
        assert value == 11 and first != os.getpid()
        with pytest.raises(InputError, match=r"^as it was$"):
            pool.submit(InputError("as it was")).result()
        with pytest.raises(ZerocostError, match="a worker process raised SystemExit: 2") as raised:
            pool.submit(SystemExit(2)).result()
        assert "in call" in raised.value.__notes__[0]
        with pytest.raises(ZerocostError, match="a worker process raised EOFError"):
            pool.submit("reads").result()
        assert str(pool.ask(KeyboardInterrupt("mine"))) == "the network raised KeyboardInterrupt: mine"
        assert pool.submit(2).result() == (first, 12)
        with pytest.raises(WorkerDied, match=r"^exit code 3$"):
            pool.submit("ends").result()
        second, _ = pool.submit(3).result()
        assert second != first
        answer = pool.ask("is killed")
        assert isinstance(answer, Failure)
        assert str(answer) == "its worker process died twice: SIGKILL, as when memory runs out"
    printed = capfd.readouterr()
    assert (printed.out, printed.err.split("\n")[:3]) == ("", ["printed 1", "printed 2", "printed 3"])


def test_closing_ends_what_is_running():
    pool = Workers(1).pool(lambda: time.sleep)
    endless = pool.submit(1000)
    while not endless.running():
        time.sleep(0.01)
    pool.close()
    assert isinstance(endless.exception(), WorkerDied)


@pytest.mark.parametrize(
    ("set_up", "error", "message"),
    [
        (partial(sys.exit, 5), InputError, "cannot be loaded in a worker process: SystemExit: 5; workers=1"),
        (partial(os._exit, 5), ZerocostError, "ended while it loaded the networks and the proxies: exit code 5"),
    ],
)
def test_a_worker_that_cannot_be_set_up(set_up, error, message):
    with closing(Workers(1).pool(set_up)) as pool, pytest.raises(error, match=message):
        pool.ask()


def test_what_cannot_be_pickled_is_refused():
    with pytest.raises(InputError, match=r"cannot be sent to other processes \(TypeError: .*workers=1"):
        Workers(1).pool(partial(next, (i for i in ())))
