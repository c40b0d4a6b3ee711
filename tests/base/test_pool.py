from __future__ import annotations

import concurrent.futures as cf
import os
import pickle
import sys
import threading
import time
from contextlib import closing
from functools import partial

import pytest
import torch

from zerocost.base.errors import Failure, InputError, ZerocostError
from zerocost.base.pool import Pool, WorkerDied, WorkerLost
from zerocost.base.workers import Workers


def test_a_pool_calls_a_function_whatever_it_does(capfd):
    offset = 10

    def call(what):
        if what == "ends":
            os._exit(3)
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
        with pytest.raises(Failure, match="died twice, the second time with no network beside it: exit code 3"):
            pool.submit("ends").result()
        second, _ = pool.submit(3).result()
        assert second != first
    printed = capfd.readouterr()
    assert (printed.out, printed.err.split("\n")[:3]) == ("", ["printed 1", "printed 2", "printed 3"])


def test_closing_ends_what_is_running():
    pool = Workers(1).pool(lambda: time.sleep)
    endless = pool.submit(1000)
    while not endless.running():
        time.sleep(0.01)
    pool.close()
    assert isinstance(endless.exception(), WorkerDied)


def test_a_worker_that_cannot_be_set_up():
    message = "cannot be loaded in a worker process: SystemExit: 5; workers=1"
    with closing(Workers(1).pool(partial(sys.exit, 5))) as pool, pytest.raises(InputError, match=message):
        pool.ask()


def test_what_cannot_be_pickled_is_refused():
    with pytest.raises(InputError, match=r"cannot be sent to other processes \(TypeError: .*workers=1"):
        Workers(1).pool(partial(next, (i for i in ())))


class Told:
    """A worker in this process that notes what it is asked at a time; what it is told may kill it or lose it."""

    asked: list[list[str]]

    def __init__(self, asked):
        self.asked = asked

    def set_up(self):
        pass

    def ask(self, calls):
        asked = [pickle.loads(call)[0] for call in calls]
        self.asked.append(asked)
        if "kills" in asked:
            raise WorkerDied("as told")
        if "lost" in asked and sum(each.count("lost") for each in self.asked) == 1:
            raise WorkerLost("as told")
        time.sleep(0.001 * len(calls))
        return [(what.upper(), None) for what in asked]

    def kill(self):
        pass

    end = kill


def test_quick_calls_go_together_and_only_the_one_to_blame_fails():
    asked = []
    names = [f"call {i}" for i in range(300)] + ["lost", "kills"]
    with closing(Pool(lambda _: Told(asked), 1, batch_seconds=0.02)) as pool:
        found = list(pool.answers((name,) for name in names))
    assert found[:-1] == [name.upper() for name in names[:-1]]
    assert str(found[-1]).endswith("died twice, the second time with no network beside it: as told")
    assert len(asked[0]) == 1 and 5 <= max(map(len, asked)) <= 30
    assert asked.count(["kills"]) >= 1


def test_a_call_that_is_too_large_beside_others_is_made_alone_and_no_other_worker_keeps_memory():
    """Each call takes two of three places; the worker that finds too few of them left dies of it."""
    lock, used, alive, seen = threading.Lock(), [0], set(), []

    class Crowded(Told):
        def set_up(self):
            alive.add(self)

        def ask(self, calls):
            with lock:
                if used[0]:
                    raise WorkerDied("no room")
                used[0] += 1
            time.sleep(0.02)
            seen.append(len(alive))
            used[0] -= 1
            return super().ask(calls)

        def kill(self):
            alive.discard(self)

        end = kill

    with closing(Pool(lambda _: Crowded([]), 3)) as pool:
        assert list(pool.answers((f"call {i}",) for i in range(12))) == [f"CALL {i}" for i in range(12)]
    assert seen[-1] == 1
    assert not alive


def test_a_worker_that_waits_for_room_on_its_cluster_keeps_no_call_waiting():
    closed, made = threading.Event(), []

    class Pending(Told):
        def set_up(self):
            made.append(self)
            if len(made) == 2:
                closed.wait()
                raise WorkerDied("it was killed")

        def kill(self):
            if self in made[1:2]:
                closed.set()

        end = kill

    with closing(Pool(lambda _: Pending([]), 2)) as pool:
        found = list(pool.answers([("kills",), *[(f"call {i}",) for i in range(20)]]))
    assert "died twice" in str(found[0]) and found[-1] == "CALL 19"


def test_a_worker_that_is_killed_while_it_loads_is_started_again():
    started = []

    class Killed(Told):
        def set_up(self):
            started.append(self)
            if len(started) in (1, 3, 4):
                raise WorkerDied("killed")

    with closing(Pool(lambda _: Killed([]), 2)) as pool:
        assert list(pool.answers([("a",), ("kills",), ("b",)]))[::2] == ["A", "B"]
    assert len(started) >= 4


def test_workers_that_always_die_while_they_load_are_an_error():
    class Dies(Told):
        def set_up(self):
            raise WorkerDied("exit code 5")

    message = "ended while it loaded the networks and the proxies: exit code 5"
    with closing(Pool(lambda _: Dies([]), 1)) as pool, pytest.raises(ZerocostError, match=message):
        pool.ask("a")


def test_the_last_calls_are_shared_out():
    asked = []
    with closing(Pool(lambda _: Told(asked), 2, batch_seconds=1000)) as pool:
        assert pool.submit("first").result() == "FIRST"
        list(pool.answers((str(i),) for i in range(100)))
    assert max(map(len, asked)) <= 50


def test_each_worker_sees_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr("zerocost.base.workers.check_device", lambda _: None)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    workers = Workers(device="cuda")
    assert (workers.count, Workers(device="cuda:1").count, Workers(1, device="cuda").in_process) == (2, 1, True)

    def seen():
        time.sleep(0.2)
        return os.environ["CUDA_VISIBLE_DEVICES"]

    assert set(workers.pool(lambda: seen).answers([()] * 8)) == {"3", "5"}


def test_a_worker_gets_its_data_once_has_one_thread_and_keeps_freed_memory_unless_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)

    class Data:
        def __setstate__(self, _):
            (tmp_path / f"{os.getpid()} {time.monotonic()}").touch()

    data = Data()
    data.held = 1

    def work():
        time.sleep(0.02)
        assert data
        return torch.get_num_threads(), *(os.environ.get(f"MALLOC_{name}_THRESHOLD_") for name in ("TRIM", "MMAP"))

    assert set(Workers(2).pool(lambda: work).answers([()] * 20)) == {(1, "1000000", str(2**25))}
    assert 1 <= len(list(tmp_path.iterdir())) <= 2


def test_closing_refuses_calls_that_wait_also_where_others_wait_for_them():
    begun = threading.Event()

    class Endless(Told):
        def ask(self, calls):
            begun.set()
            ended.wait()
            raise WorkerDied("it was killed")

        def kill(self):
            ended.set()

        end = kill

    ended = threading.Event()
    pool = Pool(lambda _: Endless([]), 1)
    first, waits = pool.submit("first"), pool.submit("waits")
    begun.wait()
    watch = threading.Thread(target=cf.wait, args=([waits],))
    watch.start()
    pool.close()
    watch.join(10)
    assert not watch.is_alive()
    assert all(isinstance(future.exception(), WorkerDied) for future in (first, waits))


@pytest.mark.parametrize("where", ["kill", "end"])
def test_no_call_is_lost_where_a_worker_cannot_be_ended(where):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    kind = type("Stays", (Told,), {where: refuse})
    asked = []
    with closing(Pool(lambda _: kind(asked), 2)) as pool:
        others = [pool.submit(f"call {i}") for i in range(8)]
        deadly, lost = pool.submit("kills"), pool.submit("lost")
        assert "died twice" in str(deadly.exception(10))
        assert lost.result(10) == "LOST"
        assert [future.result(10) for future in others] == [f"CALL {i}" for i in range(8)]


def test_a_worker_that_answers_too_few_calls_is_an_error():
    class Short(Told):
        def ask(self, calls):
            return super().ask(calls)[1:]

    with closing(Pool(lambda _: Short([]), 1)) as pool:
        assert isinstance(pool.submit("call").exception(10), ValueError)
        assert isinstance(pool.submit("another").exception(10), ValueError)


def test_a_worker_that_is_set_up_while_a_call_is_made_alone_is_ended():
    second, alone, ended = threading.Event(), threading.Event(), threading.Event()
    asked = []

    class Slow(Told):
        def __init__(self, place):
            super().__init__(asked)
            self.place = place

        def set_up(self):
            if self.place == 1:
                second.set()
                assert alone.wait(10)

        def ask(self, calls):
            assert second.wait(10)
            if ["kills"] in asked and b"kills" in calls[0]:
                alone.set()
                assert ended.wait(10)
            return super().ask(calls)

        def kill(self):
            if self.place == 1:
                ended.set()

        end = kill

    with closing(Pool(Slow, 2)) as pool:
        deadly, other = pool.submit("kills"), pool.submit("call")
        assert "died twice" in str(deadly.exception(20))
        assert other.result(10) == "CALL"
