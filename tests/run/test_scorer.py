from __future__ import annotations

import os
import signal
import threading

import pytest
from torch import nn

import zerocost as zc
from run.small import TEXTS, job, scores
from zerocost import spaces
from zerocost.base.errors import InputError
from zerocost.run import Scorer
from zerocost.run import job as job_module
from zerocost.scoring.rank import score_candidate
from zerocost.spaces import FULL
from zerocost.store import Score, Store


@pytest.fixture
def calls(monkeypatch):
    """What is computed from now on: architecture, proxies and seed."""
    made = []

    def counted(*args):
        build, _, steps, _, seeds, _ = args
        made.append((str(build.args[0]), tuple(p.name for p in steps.proxies), seeds[0]))
        return score_candidate(*args)

    monkeypatch.setattr(job_module, "score_candidate", counted)
    return made


def test_each_seed_builds_and_draws_anew():
    found = scores(job("snip", "params"))
    assert list(found) == [(text, seed) for seed in (0, 1) for text in TEXTS[:3]]
    for text in TEXTS[:3]:
        assert found[text, 0]["snip"] != found[text, 1]["snip"]
        assert found[text, 0]["params"] == found[text, 1]["params"]


def test_it_can_be_called_many_times_and_for_some_seeds(calls):
    with Store(None) as store, Scorer(job("params"), store=store) as score:
        assert list(score(TEXTS[:2], seeds=[1])) == [(TEXTS[0], 1), (TEXTS[1], 1)]
        assert len(score(TEXTS[:3], seeds=[1])) == 3
        assert len(score(TEXTS[:3])) == 6
        assert score([]) == {}
        with pytest.raises(InputError, match="no batches of seed 7, only of 0, 1"):
            score(TEXTS[:1], seeds=[7])
    assert len(calls) == len(set(calls)) == 6


def test_worker_processes_give_the_same_in_the_same_order_in_every_call(noted):
    given, steps = job("snip", noted.name), []
    serial = scores(given)
    with Store(None) as store, Scorer(given, store=store, workers=2) as score:
        spread = score(TEXTS[:3], progress=lambda done, total: steps.append((done, total)))
        pool = score.pool
        again = score(TEXTS[:4], seeds=[0])
        assert score.pool is pool
    assert steps == [(i, 6) for i in range(1, 7)]
    assert list(spread) == list(serial)
    assert again[TEXTS[0], 0] == spread[TEXTS[0], 0]
    for key, values in serial.items():
        for name, score in values.items():
            assert spread[key][name].value == pytest.approx(score.value, rel=1e-5)


def test_what_is_defined_in_a_function_is_scored_in_other_processes_too(registries):
    extra = 3

    class Sum(nn.Module):
        def forward(self, x):
            return x.flatten(1).sum(1, keepdim=True) * extra

    @zc.engine.signals.signal
    def squares(weights):
        "Squares of the weights."
        return sum(float((w**2).sum()) for w in weights)

    @zc.proxy(paper="a test")
    def squares_and_more(squares):
        "With what surrounds it."
        return squares + extra

    space = spaces.from_function(
        lambda choose: nn.Sequential(Sum(), nn.Linear(1, choose.int("width", 2, 4) + extra)), "local"
    )
    given = job("squares_and_more", "params", space=space, fidelity=FULL, seeds=(0,))
    texts = [str(arch) for arch in space]
    assert scores(given, texts, workers=2) == scores(given, texts)


def test_what_cannot_be_sent_to_a_process_is_bad_input():
    lock = threading.Lock()
    space = spaces.from_function(lambda choose: lock and nn.Linear(choose.int("width", 1, 3), 1), "local")
    with pytest.raises(InputError, match=r"cannot be sent to other processes \(TypeError: .*lock.*workers=1"):
        scores(job("params", space=space, fidelity=FULL), [str(arch) for arch in space], workers=2)


def test_workers_are_counted_from_one():
    with pytest.raises(InputError, match="workers must be a whole number from 1 on, but got 0"):
        scores(job("params"), workers=0)


@pytest.mark.usefixtures("one_thread")
def test_a_network_that_ends_its_process_costs_itself_alone(tmp_path):
    class Ends(nn.Linear):
        def forward(self, x):
            first = tmp_path / f"{self.out_features} was run"
            if self.out_features == 13:
                os.kill(os.getpid(), signal.SIGSEGV)
            if self.out_features == 12 and not first.exists():
                first.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if self.out_features == 11:
                raise KeyboardInterrupt
            return super().forward(x.flatten(1))

    space = spaces.from_function(lambda choose: Ends(192, choose.int("width", 10, 15)), "deadly")
    given, texts, steps = job("snip", space=space, fidelity=FULL, seeds=(0,)), [str(arch) for arch in space], []
    found = scores(given, texts, tmp_path / "scores.db", 2, progress=lambda done, total: steps.append((done, total)))
    assert list(found) == [(text, 0) for text in texts]
    assert steps == [(i, 6) for i in range(1, 7)]
    reasons = {text: values["snip"].reason for (text, _), values in found.items() if values["snip"].value is None}
    assert reasons.keys() == {"width=11", "width=13"}
    assert "raised KeyboardInterrupt" in reasons["width=11"]
    assert reasons["width=13"].endswith("died twice, the second time with no network beside it: SIGSEGV")
    innocent = [text for text in texts if text not in reasons]
    assert scores(given, innocent) == {(text, 0): found[text, 0] for text in innocent}
    assert scores(given, texts, tmp_path / "scores.db") == found


def test_a_broken_run_goes_on_where_it_stopped(place, calls):
    def stop(done, _total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="2 of 6 networks were scored, and kept in"):
        scores(job("snip"), where=place, progress=stop)
    found = scores(job("snip"), where=place)
    assert len(calls) == 6
    assert found == scores(job("snip"))


def test_ctrl_c_and_errors_leave_what_was_scored_and_no_claim(place, monkeypatch):
    ended = iter([None, None, KeyboardInterrupt, None, RuntimeError("broken")])
    whole = job_module.Job.score

    def interrupted(self, *args):
        if (error := next(ended, None)) is not None:
            raise error
        return whole(self, *args)

    monkeypatch.setattr(job_module.Job, "score", interrupted)
    given = job("snip", seeds=(0,))
    with Store(place) as store, Store(place) as other, Scorer(given, store=store) as score:
        for error, kept in ((KeyboardInterrupt, 2), (RuntimeError, 3)):
            with pytest.raises(error):
                score(TEXTS[:6])
            assert len(other.known(score.fingerprints[0])) == kept
        keys = {(text, 0) for text in TEXTS}
        assert other.claim(score.fingerprints[0], keys) == keys


def test_only_what_is_missing_is_computed(place, calls):
    scores(job("snip"), where=place)
    del calls[:]
    scores(job("snip", "naswot"), where=place)
    assert {names for _, names, _ in calls} == {("naswot",)}


def test_a_proxy_whose_file_changed_is_computed_again(noted, tmp_path):
    first = scores(job(noted.name, seeds=(0,)), where=tmp_path / "scores.db")
    noted.write(factor=2)
    second = scores(job(noted.name, seeds=(0,)), where=tmp_path / "scores.db")
    for key in first:
        assert second[key]["noted"].value == 2 * first[key]["noted"].value


def test_failures_are_kept_with_their_reasons(place, calls):
    given = job("epe_nas", "params", data="noise:3x8x8", seeds=(0,))
    found = scores(given, where=place)
    assert all("labels" in values["epe_nas"].reason for values in found.values())
    assert scores(given, where=place) == found
    assert len(calls) == 3


def test_what_another_claimed_is_waited_for(place, calls):
    given, steps = job("params", seeds=(0,)), []
    with Store(place) as other, Store(place) as store, Scorer(given, store=store) as score:
        made = score.fingerprints[0]
        assert len(other.claim(made, [(text, 0) for text in TEXTS[:2]])) == 2
        rows = {(TEXTS[0], 0, "params"): Score(7.0, None)}
        timer = threading.Timer(0.3, lambda: (other.add(made, rows), other.release(made, [(TEXTS[1], 0)])))
        timer.start()
        found = score(TEXTS[:3], progress=lambda done, total: steps.append((done, total)))
        timer.join()
    assert found[TEXTS[0], 0]["params"].value == 7
    assert {text for text, *_ in calls} == set(TEXTS[1:3])
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_signals_are_as_they_were(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    scores(job("params"), where=tmp_path / "scores.db")
    assert signal.getsignal(signal.SIGINT) is before
