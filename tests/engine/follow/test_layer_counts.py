from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import zerocost as zc
from zerocost.engine.follow import layer_counts
from zerocost.engine.model.network import Network
from zerocost.engine.passes import shape
from zerocost.spaces import Fidelity
from zerocost.testing.zoo import ZOO

SIZES = ["flops", "depth"]


@pytest.mark.parametrize("name", ZOO)
def test_sizes_are_the_same_on_the_flow_and_by_torch(name, monkeypatch):
    specimen = ZOO[name]
    batch = specimen.batch(4, seed=0)
    together = zc.score(specimen.build(), batch, [*SIZES, "synflow"])
    alone = zc.score(specimen.build(), batch, SIZES)
    monkeypatch.setattr(layer_counts, "_PRODUCTS", {})
    monkeypatch.setattr(layer_counts, "_BY_SHAPE", set())
    by_torch = zc.score(specimen.build(), batch, SIZES)
    for size in SIZES:
        assert together.scores.get(size) == alone.scores.get(size) == by_torch.scores.get(size)
        assert together.failures.get(size) == alone.failures.get(size) == by_torch.failures.get(size)


@pytest.mark.parametrize("space", ["nasbench201", "nasbench101", "darts"])
def test_networks_of_a_space_need_no_pass_of_their_own(space, monkeypatch):
    monkeypatch.setattr(Network, "hides_calls", False)  # of functions that other tests compiled
    space = zc.spaces.get(space)
    network = space.build(space.sample(np.random.default_rng(0)), Fidelity(width=0.25, depth=0.3))
    images = torch.randn(1, 3, 32, 32)
    card = zc.score(network, images, [*SIZES, "log_synflow"])
    assert [step.name for step in card.passes] == ["flow"]
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network.eval()(images)
    assert 2 * card["flops"] == counter.get_total_flops()


@pytest.mark.parametrize("space", ["gpt", "bert", "vit"])
def test_transformers_need_no_counter_of_torch(space, monkeypatch):
    space = zc.spaces.get(space)
    network = space.build(space.sample(np.random.default_rng(0)), Fidelity(width=0.25, depth=0.2))
    sample = torch.randn(1, 3, 224, 224) if space.name == "vit" else torch.arange(16)[None]
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network.eval()(sample)
    monkeypatch.setattr(Network, "hides_calls", False)  # of functions that other tests compiled
    monkeypatch.setattr(shape, "FlopCounterMode", None)
    assert 2 * zc.score(network, sample, "flops")["flops"] == counter.get_total_flops()


class Computes(nn.Module):
    """A layer, and what is computed of the numbers that it returns."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.recurrent, self.function = nn.Linear(8, 8), nn.LSTM(8, 4, batch_first=True), function

    def forward(self, x):
        return self.function(self, self.layer(x)).flatten(1)


@pytest.mark.parametrize(
    "function",
    [
        lambda net, y: torch.einsum("nqd,nkd->nqk", y, y),
        lambda net, y: torch.einsum("nqd,nkd->knq", y, y),
        lambda net, y: torch.einsum("nqd,de->nqe", [y, net.layer.weight]),
        lambda net, y: y / y.norm(dim=-1, keepdim=True) @ nn.functional.normalize(y, dim=1).mT,
        lambda net, y: y.sort(-1)[0].topk(4, -1)[0] @ y[:, 0, :4].mT,
    ],
    ids=["einsum", "einsum in another order", "einsum of a weight", "norm", "sort"],
)
def test_functions_need_no_counter_of_torch(function, monkeypatch):
    network, x = Computes(function), torch.randn(1, 3, 8)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    monkeypatch.setattr(Network, "hides_calls", False)  # of functions that other tests compiled
    monkeypatch.setattr(shape, "FlopCounterMode", None)
    assert 2 * zc.score(network, x, "flops")["flops"] == counter.get_total_flops()


@pytest.mark.parametrize("proxies", ["flops", "flops,log_synflow"])
def test_an_einsum_that_sums_nothing_multiplies_no_matrices(proxies):
    network = Computes(lambda net, y: torch.einsum("nki,nkj->nij", y[:, :1], y[:, :1]))
    assert zc.score(network, torch.randn(1, 3, 8), proxies)["flops"] == 3 * 8 * 8


@pytest.mark.parametrize("multiply", [torch.matmul, nn.functional.linear])
def test_products_inside_vmap_count_for_each_row(multiply):
    network = Computes(lambda net, y: torch.vmap(lambda row: multiply(row, net.layer.weight), in_dims=1)(y))
    assert zc.score(network, torch.randn(1, 3, 8), "flops")["flops"] == 2 * 3 * 8 * 8


def test_recurrent_layers_need_no_counter_of_torch(monkeypatch):
    monkeypatch.setattr(Network, "hides_calls", False)  # of functions that other tests compiled
    monkeypatch.setattr(shape, "FlopCounterMode", None)
    network = Computes(lambda net, y: net.recurrent(y)[0])
    assert zc.score(network, torch.randn(2, 3, 8), "flops")["flops"] == 3 * (8 * 8 + 4 * 4 * (8 + 4))


class Decides(nn.Module):
    """Its values decide what runs."""

    def __init__(self, decide):
        super().__init__()
        self.one, self.other, self.decide = nn.Linear(4, 4), nn.Linear(4, 4), decide

    def forward(self, x):
        return self.decide(self, x)


@pytest.mark.parametrize(
    "decide",
    [
        lambda net, x: net.other(net.one(x)) if x.sum() < 3 else net.one(x),
        lambda net, x: net.one(x[x[:, 0] > 0.5].new_ones(len(x), 4)) + net.other(x[x[:, 0] < 0.5]).sum(),
        lambda net, x: net.one(x) + net.other(x.new_ones(3, 4)[: (x.sum() * 0 + 1).long()]).sum(),
        lambda net, x: net.one(x) + net.other(x.expand((x[0, 0] < 0.5).long() * 2 + len(x), 4)).sum(),
        lambda net, x: net.one(x) + net.other(torch.ones(((x[0, 0] < 0.5).long() * 2 + len(x)).item(), 4)).sum(),
        lambda net, x: net.one(x) + net.other(torch.eye(4).topk((x[0, 0] < 0.5).to(torch.int64) + 1, 0)[0]).sum(),
        lambda net, x: net.one(x) + torch.vmap(lambda row: row @ net.other.weight)(x),
    ],
    ids=["branch", "mask", "slice", "size", "made", "topk", "vmap"],
)
def test_sizes_that_values_decide_are_counted_apart(decide):
    x = torch.full((2, 4), 0.1)
    alone, together = (zc.score(Decides(decide), x, proxies) for proxies in (SIZES, [*SIZES, "log_synflow"]))
    assert {size: alone.scores.get(size) for size in SIZES} == {size: together.scores.get(size) for size in SIZES}


class Product(nn.Module):
    def __init__(self, multiply):
        super().__init__()
        self.weight, self.head, self.multiply = nn.Parameter(torch.ones(4, 4)), nn.Linear(4, 3), multiply

    def forward(self, x):
        return self.head(self.multiply(x, self.weight))


@pytest.mark.filterwarnings("ignore:.torch.jit.trace. is deprecated")
@pytest.mark.parametrize("proxies", ["flops", "flops,log_synflow"])
def test_products_in_a_compiled_function_count(proxies):
    def multiply(x, weight):
        return torch.relu(x @ weight)

    x = torch.rand(2, 4)
    for function in (multiply, torch.jit.trace(multiply, (x, torch.ones(4, 4)))):
        assert zc.score(Product(function), x, proxies)["flops"] == 4 * 4 + 4 * 3
