from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from zerocost.testing.state import global_state, model_state


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(2, 2), nn.BatchNorm1d(2)
        self.seen, self.array, self.generator = [torch.ones(2)], np.ones(2), torch.Generator()


CHANGES = {
    "mode": lambda m: m.norm.eval(),
    "attribute": lambda m: setattr(m, "count", 1),
    "weight": lambda m: m.layer.weight.data.add_(1e-6),
    "weight replaced by its equal": lambda m: setattr(m.layer, "weight", nn.Parameter(m.layer.weight.detach().clone())),
    "gradient": lambda m: setattr(m.layer.weight, "grad", torch.zeros(2, 2)),
    "requires_grad": lambda m: m.layer.weight.requires_grad_(False),
    "hook": lambda m: m.layer.register_forward_hook(print),
    "tensor hook": lambda m: m.layer.weight.register_hook(print),
    "buffer": lambda m: m.norm.running_mean.add_(1),
    "dtype": lambda m: m.double(),
    "layout": lambda m: setattr(m.layer.weight, "data", m.layer.weight.data.T),
    "list": lambda m: m.seen.append(1),
    "tensor in a list": lambda m: m.seen[0].zero_(),
    "array": lambda m: m.array.fill(0),
    "generator": lambda m: torch.rand(1, generator=m.generator),
    "module": lambda m: setattr(m, "more", nn.Identity()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_any_kind_shows(change):
    model = Net()
    before = model_state(model)
    assert model_state(model) == before
    change(model)
    assert model_state(model) != before


@pytest.mark.parametrize("change", [lambda: torch.rand(1), np.random.rand, random.random])
def test_a_draw_from_any_global_generator_shows(change):
    before = global_state()
    assert global_state() == before
    change()
    assert global_state() != before


def test_a_mode_of_the_caller_shows():
    before = global_state()
    with torch.no_grad():
        assert global_state() != before
