from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.model.initialise import with_initialisation
from zerocost.engine.model.network import Network
from zerocost.testing.state import model_state


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64)
        self.layer_norm, self.head = nn.LayerNorm((64, 6, 6)), nn.Linear(64, 100)
        self.tied = nn.Linear(64, 100, bias=False)
        self.tied.weight = self.head.weight
        self.act, self.gamma = nn.PReLU(), nn.Parameter(torch.full((64,), 0.3))
        self.register_buffer("mask", torch.full((64,), 0.5))
        with torch.no_grad():
            for norm in (self.norm, self.layer_norm):
                norm.weight.fill_(0.7), norm.bias.fill_(0.2)
            self.norm.running_mean.fill_(3), self.norm.running_var.fill_(4), self.norm.num_batches_tracked.fill_(5)

    def forward(self, x):
        x = self.layer_norm(self.norm(self.conv(x)))
        x = self.act(x.mean((2, 3))) * self.gamma * self.mask
        return self.head(x) + self.tied(x)


@pytest.mark.parametrize(("how", "gain"), [("gaussian", lambda fan_in: 1.0), ("kaiming", lambda f: math.sqrt(2 / f))])
def test_weight_matrices_are_drawn_with_the_deviation_of_their_kind(how, gain):
    drawn = with_initialisation(Network(Net()), how, 0)
    for name, fan_in in (("conv.weight", 27), ("head.weight", 64)):
        weight = drawn.parameters[name]
        assert float(weight.std()) == pytest.approx(gain(fan_in), rel=0.05)
        assert abs(float(weight.mean())) < 0.1 * gain(fan_in)


@pytest.mark.parametrize("how", ["gaussian", "kaiming"])
def test_scales_biases_and_running_statistics_start_anew_and_the_rest_stays(how):
    model = Net()
    drawn = with_initialisation(Network(model), how, 0)
    for name in ("norm.weight", "layer_norm.weight", "norm.running_var"):
        assert bool((drawn.tensors[name] == 1).all())
    for name in ("norm.bias", "layer_norm.bias", "conv.bias", "head.bias", "norm.running_mean"):
        assert not drawn.tensors[name].any()
    assert drawn.buffers["norm.num_batches_tracked"] == 0
    for name, own in (("act.weight", model.act.weight), ("gamma", model.gamma), ("mask", model.mask)):
        assert torch.equal(drawn.tensors[name], own)


def test_the_given_network_is_itself_and_a_drawn_one_leaves_it_alone():
    model = Net()
    before, network = model_state(model), Network(model)
    assert with_initialisation(network, "given", 0) is network
    drawn = with_initialisation(network, "gaussian", 0)
    assert model_state(model) == before and network.parameters["conv.weight"] is model.conv.weight
    assert not {id(t) for t in drawn.tensors.values()} & {id(t) for t in model.parameters()}
    assert list(drawn.parameters) == list(network.parameters)  # the tied matrix once


def test_the_same_seed_draws_the_same_whatever_the_dtype():
    one, again, other = (
        with_initialisation(Network(Net()), "kaiming", seed).parameters["conv.weight"] for seed in (0, 0, 1)
    )
    assert torch.equal(one, again) and not torch.equal(one, other)
    half = with_initialisation(Network(Net().half()), "kaiming", 0).parameters["conv.weight"]
    assert half.dtype == torch.float16 and torch.allclose(half.float(), one, atol=1e-3)


def test_whole_numbers_stay_and_complex_ones_are_refused():
    model = nn.Linear(2, 2)
    model.register_parameter("index", nn.Parameter(torch.tensor([[1, 2]]), requires_grad=False))
    assert torch.equal(with_initialisation(Network(model), "gaussian", 0).parameters["index"], model.index)
    model.register_parameter("filter", nn.Parameter(torch.zeros(3, dtype=torch.cfloat)))
    with pytest.raises(Failure, match="complex"):
        with_initialisation(Network(model), "gaussian", 0)


def batch(n=6):
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3


NAMES = ["l2_norm", "snip", "naswot", "synflow", "zico", "ntk_trace", "vkdnw", "dss", "gradsign"]


@pytest.mark.parametrize("how", ["gaussian", "kaiming"])
def test_scores_of_drawn_weights_are_those_of_a_network_that_has_them(how):
    model = Net()
    before = model_state(model)
    card = zc.score(model, batch(), [f"{name}(initialisation={how})" for name in NAMES], seed=3)
    assert model_state(model) == before
    drawn = with_initialisation(Network(Net()), how, 3)
    has_them = Net()
    has_them.load_state_dict({**has_them.state_dict(), **drawn.tensors, "tied.weight": drawn.tensors["head.weight"]})
    plain = zc.score(has_them, batch(), NAMES, seed=3)
    assert set(plain.failures) == {"dss"}
    for name, value in plain.items():
        assert card[f"{name}(initialisation={how})"] == pytest.approx(value, rel=1e-6)


def test_weights_of_the_network_play_no_part():
    one, other = Net(), Net()
    with torch.no_grad():
        for parameter in other.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2)
    names = ["snip(initialisation=gaussian)", "l2_norm(initialisation=gaussian)"]
    assert dict(zc.score(one, batch(), names)) == dict(zc.score(other, batch(), names))
