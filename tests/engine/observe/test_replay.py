"""The perturbed pass looks only at the calls that mattered in the data pass: its signals are those of a watched run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.engine.observe.replay import Replay
from zerocost.testing.zoo import ZOO

BATCH = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def replayed(monkeypatch):
    """How often a replay was tried, and had the same calls."""
    used = []
    same = Replay.same.fget
    monkeypatch.setattr(Replay, "same", property(lambda self: used.append(same(self)) or used[-1]))
    return used


def watched(model, batch):
    """`zen` by a watched run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Replay, "possible", False)
        return zc.score(model, batch, "zen,zen(mode=eval)")


@pytest.mark.parametrize("name", ZOO)
def test_a_replay_reads_what_a_watched_run_reads(name):
    model, batch = ZOO[name].build(), ZOO[name].batch(6, seed=0)
    card, expected = zc.score(model, batch, "zen,zen(mode=eval)"), watched(model, batch)
    assert (card.scores, card.failures) == (expected.scores, expected.failures)


def network(first, last):
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3)
    return nn.Sequential(first, *layers, last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class Particular(nn.Module):
    """Runs other functions on other inputs, and writes into them."""

    def forward(self, x):
        return x.mul_(2) if torch.equal(x, BATCH) else x.mul_(2).relu()


@pytest.mark.parametrize(
    ("first", "last", "tries"),
    [
        (nn.Identity(), nn.ReLU(), [True]),
        (nn.Identity(), nn.ReLU(inplace=True), [True]),
        (nn.Identity(), Swish(), []),  # the last map is not what one call returns
        (Particular(), nn.ReLU(), [False]),
    ],
)
def test_a_replay_counts_where_the_map_is_that_of_a_call_and_the_calls_are_the_same(first, last, tries, replayed):
    model = network(first, last)
    found = zc.score(model, BATCH, "zen")["zen"]
    assert replayed == tries
    assert found == watched(model, BATCH)["zen"]
