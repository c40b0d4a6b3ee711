from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.errors import InputError
from zerocost.engine.timing import TIMING
from zerocost.scoring.profile import Profile, profile

BATCH = torch.randn(4, 3, 8, 8), torch.arange(4)


def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))


def test_parts_add_up_and_watchers_are_part_of_their_pass():
    proxies = "naswot,synflow,flops"
    found = profile(build, BATCH, proxies, rounds=1)
    parts = found.table.set_index(["kind", "name"])["units"]
    assert set(parts.index) == {
        *(("pass", step.name) for step in zc.score(build(), BATCH, proxies).passes),
        *(("build", "build"), ("watcher", "activation_kernel"), ("rest", "the rest"), ("together", "together")),
        *(("proxy", "naswot"), ("proxy", "synflow"), ("proxy", "flops")),
    }
    added = parts.drop(["watcher", "together"], level="kind").sum()
    assert parts["together", "together"] == pytest.approx(added)
    assert 0 < parts["watcher", "activation_kernel"] < parts["pass", "data"]
    alone = found.table[found.table["kind"] == "proxy"]["alone"]
    assert (alone > 0).all()


def test_shares_add_up_over_several_rounds():
    shares = profile(build, BATCH, "naswot,synflow", rounds=4).table.set_index("kind")["share"]
    assert shares.drop(["watcher", "together"]).sum() == pytest.approx(1)
    assert shares["together"] == 1


def test_scores_and_model_stay_as_they_are():
    network = build()
    before = zc.score(network, BATCH, "naswot").scores
    state = {name: value.clone() for name, value in network.state_dict().items()}
    found = profile(network, BATCH, "naswot", rounds=2)
    assert zc.score(network, BATCH, "naswot").scores == before
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert TIMING.get().watchers is None
    assert found.table.set_index("kind").loc["build", "units"] == 0


def test_it_is_shown_plotted_and_read_back():
    found = profile(build, BATCH, "snip", rounds=1)
    assert "1 round" in repr(found) and "snip" in repr(found)
    assert len(found.plot().data[0].x) == len(found.table) - 1
    again = Profile.from_dict(found.to_dict())
    assert again.table.equals(found.table) and again.unit == found.unit


def test_lazy_layers_get_weights_as_in_score():
    def lazy():
        return nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))

    for given in (lazy, lazy()):
        found = profile(given, BATCH, "snip", rounds=1)
        assert not found.failures and "loss" in found.table["name"].tolist()


def test_bad_input_says_what_is_wrong():
    with pytest.raises(InputError, match="rounds must be at least 1"):
        profile(build, BATCH, rounds=0)
    with pytest.raises(InputError, match="building the network raised ZeroDivisionError"):
        profile(lambda: 1 / 0, BATCH)
    with pytest.raises(InputError, match="no forward and backward pass to compare with: the network raised"):
        profile(partial(nn.Linear, 3, 4), BATCH)


def test_proxies_without_a_score_are_named():
    found = profile(nn.Linear(4, 2), (torch.rand(4, 4), torch.arange(4) % 2), "snip,az_trainability", rounds=1)
    assert found.failures.keys() == {"az_trainability"}
    assert Profile.from_dict(found.to_dict()).failures == found.failures
