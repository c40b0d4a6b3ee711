from __future__ import annotations

import os
from contextlib import closing

import pytest
import torch
from torch import nn

from zerocost import spaces
from zerocost.base.shared_pool import SharedPool
from zerocost.base.workers import Workers
from zerocost.search.shared_sizes import counting
from zerocost.search.sizes import size_costs

SAMPLE = torch.rand(1, 4)


def deadly() -> spaces.SearchSpace:
    """A network that runs, and one that ends its process."""

    class Ends(nn.Linear):
        def forward(self, x):
            return super().forward(x) if self.out_features == 2 else os._exit(3)

    return spaces.from_function(lambda choose: Ends(4, choose.int("width", 1, 2)), "deadly")


SPACE = deadly()
ALIVE, DEAD = SPACE.parse("width=2"), SPACE.parse("width=1")


@pytest.mark.parametrize("begin", [False, True])
def test_in_other_processes_a_network_that_ends_its_own_has_no_size(begin):
    with closing(SharedPool(Workers(2))) as shared:
        counted = counting(shared, SPACE, SAMPLE)
        if begin:
            counted.begin([ALIVE, DEAD], ["params", "flops"])
        known = counted.costs
        assert {name: known[name](ALIVE) for name in ("params", "flops", "depth")} == {
            "params": 10,
            "flops": 8,
            "depth": 1,
        }
        assert str(known["flops"](DEAD)) == (
            "its worker process died twice, the second time with no network beside it: exit code 3"
        )
        assert known["params"](DEAD) == 5


def test_in_this_process_sizes_are_those_of_size_costs():
    counted = counting(SharedPool(Workers(1)), SPACE, SAMPLE)
    counted.begin([ALIVE], ["params"])
    assert counted.costs.keys() == size_costs(SPACE, SAMPLE).keys()
    assert counted.costs["flops"](ALIVE) == 8
