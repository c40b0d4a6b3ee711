from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.model.one_thread import one_thread

REASON = "runs a part in another thread"


class Threaded(nn.Module):
    """Runs its body in a thread of a pool."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(6, 6), nn.ReLU()), nn.Linear(6, 3)

    def forward(self, x):
        with ThreadPoolExecutor(1) as pool:
            return self.head(pool.submit(self.body, x).result())


def test_a_part_in_another_thread_is_a_failure_of_all_that_runs_the_network():
    model = Threaded()
    card = zc.score(model, (torch.rand(4, 6), torch.arange(4) % 3), "snip,synflow,flops,flash,naswot,params")
    assert list(card) == ["params"]
    assert all(REASON in reason for reason in card.failures.values())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_thread_whose_result_is_lost_is_noticed_too():
    layer = nn.Identity()
    with pytest.raises(Failure, match=REASON), one_thread([layer]):
        thread = Thread(target=layer, args=(1,))
        thread.start()
        thread.join()
        raise KeyError("the network misses what the thread should have left")


def test_a_network_may_run_as_a_whole_in_any_thread():
    model, batch = Threaded().body, (torch.rand(4, 6), torch.arange(4) % 3)
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(zc.score, model, batch, "snip,naswot").result()
    assert dict(there) == dict(zc.score(model, batch, "snip,naswot"))
