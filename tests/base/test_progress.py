"""Progress as bars, as a function of the caller's, or not at all, in every long call."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import zerocost as zc
from benchmarks.tiny import benchmark
from zerocost.base.errors import InputError
from zerocost.base.progress import report_stages, report_steps
from zerocost.train.halving import halving

LABELS = torch.arange(16) % 2
DATA = TensorDataset(torch.randn(16, 4), LABELS)
NETWORKS = {"a": lambda: nn.Linear(4, 2), "b": lambda: nn.Linear(4, 2)}


def space(choose):
    return nn.Linear(4, choose.int("outputs", 2, 5))


def tune(progress):
    tiny = {"trials": 2, "folds": 2, "rounds": 1, "repeats": [1], "batches": [4], "fidelities": ["width=0.1,depth=0.2"]}
    return zc.tune(benchmark(8), data="digits:8", proxies="params", n=8, progress=progress, **tiny)


LONG_CALLS = {
    "rank": (lambda progress: zc.rank(NETWORKS, DATA, "snip", batch=4, progress=progress), ["scoring"]),
    "search": (
        lambda progress: zc.search(
            space, DATA, proxies="snip", candidates=2, keep=1, epochs=1, progress=progress, batch=4
        ),
        ["scoring", "training, epochs"],
    ),
    "train": (lambda progress: zc.train(NETWORKS, train=DATA, epochs=1, progress=progress), ["training, epochs"]),
    "halving": (
        lambda progress: halving(NETWORKS, train=DATA, epochs=2, reduction=2, progress=progress),
        ["training, epochs"],
    ),
    "evaluate": (
        lambda progress: zc.evaluate(
            benchmark(4), "params", data="digits:8", n=4, k=1, seeds=1, batch=4, resamples=2, progress=progress
        ),
        ["scoring"],
    ),
    "tune": (tune, ["scoring", "tuning"]),
}


@pytest.mark.parametrize(("call", "titles"), LONG_CALLS.values(), ids=LONG_CALLS)
def test_a_long_call_has_bars_if_asked_and_none_off_a_terminal(call, titles, capsys):
    call(True)
    shown = capsys.readouterr()
    assert all(title in shown.err for title in titles) and shown.out == ""
    call(None)
    assert capsys.readouterr().err == ""


def test_bars_are_the_default_at_a_terminal(capsys, monkeypatch):
    with report_steps(None, "scoring") as report:
        report(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with report_steps(None, "scoring") as report:
        report(1, 2)
    assert "1/2" in capsys.readouterr().err
    with report_steps(False, "scoring") as report:
        report(1, 2)
    assert capsys.readouterr().err == ""


def test_a_function_is_called_instead():
    told = []
    with report_steps(lambda *step: told.append(step), "scoring") as steps:
        steps(1, 2)
    with report_stages(lambda *step: told.append(step), {}) as stages:
        stages("train", 3, 4)
    assert told == [(1, 2), ("train", 3, 4)]


def test_what_is_no_progress():
    with pytest.raises(InputError, match="progress must be True, False, None or a function, but got 'yes'"):
        zc.rank(NETWORKS, DATA, "params", batch=4, progress="yes")
