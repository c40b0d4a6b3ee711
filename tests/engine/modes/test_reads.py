"""A score's provenance names the weights that are frozen, and those that no pass has read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.engine.modes.reads import has_compiled_functions

BATCH = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4
SPARE = ["spare.weight", "spare.bias"]


class OwnConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.1)

    def forward(self, x):
        return F.conv2d(x, self.weight, padding=1)


class Branches(nn.Module):
    """Reads weights in many ways: by a function, a list (LSTM), attention, an item, in train mode only, in part."""

    def __init__(self):
        super().__init__()
        self.first, self.spare, self.last = OwnConvolution(), nn.Conv2d(3, 64, 5), nn.Linear(8, 4)
        self.recurrent, self.attention = nn.LSTM(8, 8, batch_first=True), nn.MultiheadAttention(8, 2, batch_first=True)
        self.shift, self.trained = nn.Parameter(torch.zeros(2, 8)), nn.Parameter(torch.zeros(8))

    def forward(self, x):
        assert self.spare.weight.shape[0] == self.spare.bias.numel()  # which reads no value
        x = torch.relu(self.first(x)).mean((2, 3)) + self.shift[0]
        x = x + self.trained if self.training else x
        x = self.recurrent(x[:, None])[0]
        return self.last(self.attention(x, x, x, need_weights=False)[0][:, 0])


@pytest.mark.parametrize("proxy", ["snip", "naswot", "jacob_cov", "ntk_trace", "snip(initialisation=kaiming)"])
def test_weights_that_no_pass_read_are_named(proxy):
    card = zc.score(Branches(), BATCH, proxy)
    assert card.provenance["unused"] == SPARE
    assert "no pass read spare.weight and spare.bias" in repr(card)


def test_what_one_mode_alone_reads_is_unused_in_the_other():
    net = Branches()
    assert set(zc.score(net, BATCH, "synflow,snip(mode=eval)").provenance["unused"]) == {*SPARE, "trained"}
    assert zc.score(net, BATCH, "snip(mode=eval),snip").provenance["unused"] == SPARE


def test_without_a_pass_nobody_knows():
    assert zc.score(Branches(), BATCH, "params,l2_norm").provenance["unused"] is None


def test_unused_weights_count_where_no_gradient_says_otherwise():
    net = Branches()
    card = zc.score(net, BATCH, "params,snip")
    unused = sum(p.numel() for name, p in net.named_parameters() if name in card.provenance["unused"])
    assert unused == 64 * 3 * 25 + 64
    del net.spare
    net.spare = nn.Conv2d(3, 1, 1)
    other = zc.score(net, BATCH, "params,snip")
    assert card["params"] - other["params"] == unused - 4
    assert card["snip"] == other["snip"]


def test_frozen_weights_are_named_and_change_no_score():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))
    before = zc.score(net, BATCH, zc.proxies.names())
    net[0].requires_grad_(False)
    frozen = zc.score(net, BATCH, zc.proxies.names())
    assert before.provenance["frozen"] == [] and frozen.provenance["frozen"] == ["0.weight", "0.bias"]
    assert (frozen.scores, frozen.failures) == (before.scores, before.failures)
    assert [p.requires_grad for p in net[0].parameters()] == [False, False]


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_what_torch_compiles_for_its_forward_mode_hides_no_calls(monkeypatch):
    torch.func.jvp(torch.sin, (torch.ones(1),), (torch.ones(1),))
    found = torch.jit._state._python_cu.get_functions()
    functions = [one for one in found if "decompositions" in one.qualified_name]
    monkeypatch.setattr(torch.jit._state, "_python_cu", SimpleNamespace(get_functions=lambda: functions))
    assert functions and not has_compiled_functions()
    functions.append(SimpleNamespace(qualified_name="__torch__.mine"))
    assert has_compiled_functions()
