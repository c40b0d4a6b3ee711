from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.losses import cross_entropy
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.engine.settings import DEFAULT
from zerocost.engine.watch import channels
from zerocost.proxies import resolve

N = 5


def batch():
    x = torch.randn(N, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x, torch.arange(N) % 3


def responses(model, data):
    return measure(model, [data], plan(resolve("wrcor")), cross_entropy, 0).signals[DEFAULT]["responses"]


class Net(nn.Module):
    def __init__(self, inplace=False, act=nn.ReLU):
        super().__init__()
        torch.manual_seed(0)
        make = lambda: nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), act(inplace=inplace))  # noqa: E731
        self.stem, self.act = nn.Conv2d(3, 4, 3), act(inplace=inplace)
        self.blocks, self.head = nn.ModuleList([make(), make()]), nn.Linear(4, 3)

    def forward(self, x):
        x = self.act(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


def by_hand(model, x, y):
    """Correlations of inputs and of gradients of each activation, written out."""
    inputs, value = [model.stem(x)], None
    value = torch.relu(inputs[0])
    for block in model.blocks:
        inputs.append(block[0](value))
        value = torch.relu(inputs[-1])
    loss = F.cross_entropy(model.head(value.mean((2, 3))), y)
    gradients = torch.autograd.grad(loss, inputs)
    return [np.corrcoef(t.detach().flatten(1).numpy()) for t in (*inputs, *gradients)]


def test_responses_are_correlations_of_values_and_of_gradients_in_their_block():
    model = Net().double()
    found = responses(model, batch())
    expected = by_hand(model, *batch())
    assert sorted(r.block for r in found) == [0, 0, 1, 1, 2, 2]
    assert [r.block for r in found] == [0, 1, 2, 2, 1, 0]  # forward in order, then backward
    for one, other in zip(found, [*expected[:3], *expected[:2:-1]], strict=True):
        assert np.allclose(one.correlation.numpy(), other, atol=1e-10)


def test_activations_in_place_are_the_same():
    one, other = (responses(Net(inplace).double(), batch()) for inplace in (False, True))
    for a, b in zip(one, other, strict=True):
        assert a.block == b.block and torch.allclose(a.correlation, b.correlation, atol=1e-12)


def test_constant_values_have_no_correlation():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 3)

        def forward(self, x):
            return self.head(torch.relu(x.mean((2, 3)) * 0 + 1) + torch.relu(x.mean((2, 3))))

    found = responses(Constant().double(), batch())
    assert found[0].correlation is None and found[1].correlation is not None


def test_gradients_are_recorded_in_the_loss_pass_alone():
    """Gradients of other passes, which run after it on the same graph, are not added."""
    model, data = Net().double(), batch()
    alone = responses(model, data)
    steps = plan(resolve("wrcor,grasp,jacob_cov,az_trainability"))
    together = measure(model, [data], steps, cross_entropy, 0).signals[DEFAULT]["responses"]
    assert len(alone) == len(together)
    for a, b in zip(alone, together, strict=True):
        assert torch.allclose(a.correlation, b.correlation, atol=1e-10)


def test_a_network_without_activations_has_none():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(108, 3)).double()
    found = responses(linear, batch())
    assert isinstance(found, Failure) and "no activation was seen" in str(found)


def test_samples_hidden_by_vmap_are_a_failure():
    class Mapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(108, 3)

        def forward(self, x):
            return torch.vmap(lambda row: torch.relu(self.layer(row)))(x.flatten(1))

    assert "vmap" in str(responses(Mapped().double(), batch()))


class BothWays(nn.Module):
    """A weight that is used as W and as its transpose."""

    def __init__(self, units, tied):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(units, 8, generator=draw, dtype=torch.float64))
        self.other = None if tied else nn.Parameter(self.weight.detach().clone())

    def forward(self, x):
        back = self.weight if self.other is None else self.other
        return (x @ self.weight.t()).relu() @ back


@pytest.mark.parametrize("units", [4, 8])
def test_a_weight_that_is_used_both_ways_has_the_channels_of_two(units):
    x = torch.randn(N, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    tied, apart = (zc.score(BothWays(units, tied), (x, torch.arange(N)), "fisher,snip") for tied in (True, False))
    assert tied["fisher"] == pytest.approx(apart["fisher"], rel=1e-12)
    assert not tied.failures


def test_a_watcher_that_raises_costs_its_own_signal_only(monkeypatch):
    def broken(*_):
        raise ValueError("no rows here")

    monkeypatch.setattr(channels, "sum_positions", broken)
    card = zc.score(Net().double(), batch(), "fisher,snip")
    assert card.failures["fisher"].startswith("channel_saliency cannot be measured on this network: ValueError")
    assert card["snip"] > 0
