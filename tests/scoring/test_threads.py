"""Threads that score at the same time: every score is the serial one, and nothing global changes."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.testing.state import global_state, model_state

PROXIES = "snip,synflow,naswot,zen,gradsign,params"


def conv_net() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)),
    )


@pytest.fixture
def batch():
    return torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 10


def in_threads(jobs):
    """What each job returns, all of them started at once."""
    results = [None] * len(jobs)

    def run(place: int) -> None:
        results[place] = jobs[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_threads_on_one_model(batch):
    model = conv_net()
    expected, before = dict(zc.score(model, batch, PROXIES)), (model_state(model), global_state())
    found = in_threads([lambda: dict(zc.score(model, batch, PROXIES))] * 8)
    assert found == [expected] * 8
    assert (model_state(model), global_state()) == before


def test_threads_on_different_models(batch):
    models = [conv_net() for _ in range(8)]
    expected, before = [dict(zc.score(model, batch, PROXIES)) for model in models], global_state()
    assert in_threads([lambda m=model: dict(zc.score(m, batch, PROXIES)) for model in models]) == expected
    assert global_state() == before


def test_threads_that_rank(batch):
    def ranked() -> object:
        return zc.rank({"a": conv_net, "b": conv_net}, batch, "snip,zen", batch=16).frame.to_dict()

    expected, before = ranked(), global_state()
    for _ in range(3):
        assert in_threads([ranked] * 8) == [expected] * 8
    assert global_state() == before


def test_a_thread_that_draws_meanwhile(batch):
    def scored() -> object:
        table = zc.rank({"a": conv_net, "b": conv_net}, batch, f"{PROXIES},zico,meco_opt", batch=16)
        return table.frame.drop(columns="ms", errors="ignore").to_dict()

    drawn, stop = [], threading.Event()

    def draw() -> None:
        while not stop.is_set():
            drawn.append(torch.rand(3))

    expected = scored()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        thread = threading.Thread(target=draw)
        thread.start()
        try:
            found = [scored() for _ in range(3)]
        finally:
            stop.set()
            thread.join()
    assert found == [expected] * 3
    assert len(drawn) > 10
    assert torch.equal(torch.cat(drawn), torch.rand(3 * len(drawn), generator=torch.Generator().manual_seed(7)))
