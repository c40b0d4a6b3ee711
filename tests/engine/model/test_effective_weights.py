from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import utils
from torch.nn.utils import parametrizations, parametrize, prune

import zerocost as zc
from zerocost.engine.model.effective_weights import effective_weights
from zerocost.testing.state import model_state

WAYS = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "weight_norm by a hook": lambda layer: old(utils.weight_norm, layer),
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", amount=0.4),
    "pruned twice": lambda layer: prune.random_unstructured(
        prune.ln_structured(layer, "weight", 0.2, n=2, dim=0), "weight", 0.2
    ),
    "spectral_norm by a hook": lambda layer: old(utils.spectral_norm, layer),
}


def old(normalise, layer):
    """A layer normalised in the way that torch keeps for old networks."""
    with warnings.catch_warnings(action="ignore"):
        return normalise(layer)


def net(way):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), WAYS[way](nn.Linear(8 * 36, 4))).eval()


@pytest.mark.parametrize("way", WAYS)
def test_the_weight_that_is_used_is_the_weight_inside(way):
    model, x = net(way), torch.rand(2, 3, 8, 8)
    outputs, before = model(x), model_state(model)
    with effective_weights(model):
        assert [tuple(p.shape) for p in model[3].parameters()] in ([(4, 288), (4,)], [(4,), (4, 288)])
        assert not any(name.startswith("3") for name, _ in model.named_buffers())
        assert torch.equal(model(x), outputs)
    assert model_state(model) == before
    assert torch.equal(model(x), outputs)


def test_a_model_comes_back_where_the_block_raises():
    model = net("spectral_norm")
    before = model_state(model)
    with pytest.raises(KeyError), effective_weights(model):
        raise KeyError
    assert model_state(model) == before


def test_a_model_without_any_is_left_alone():
    model = nn.Linear(2, 2)
    weight = model.weight
    with effective_weights(model):
        assert model.weight is weight


def test_frozen_weights_stay_frozen():
    model = parametrizations.weight_norm(nn.Linear(3, 2)).requires_grad_(False)
    with effective_weights(model):
        assert not any(p.requires_grad for p in model.parameters())


def test_a_recurrent_layer_runs_on_the_effective_weights():
    layer = old(lambda m: utils.weight_norm(m, "weight_hh_l0"), nn.LSTM(3, 4, batch_first=True))
    x = torch.rand(2, 5, 3)
    expected = layer(x)[0]
    before = model_state(layer)
    with effective_weights(layer):
        assert torch.equal(layer(x)[0], expected)
        twin = copy.deepcopy(layer)
    assert model_state(layer) == before and "weight_hh_l0" in dict(twin.named_parameters())


@pytest.mark.parametrize("marked", [False, True], ids=["parametrised", "marked"])
def test_a_layer_is_no_block_whatever_hangs_on_it(marked: bool) -> None:
    def network() -> nn.Sequential:
        torch.manual_seed(0)
        layers = (
            nn.Conv2d(3, 6, 3),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        return nn.Sequential(*layers, nn.Linear(6, 4))

    plain, other = network(), network()
    for layer in (other[0], other[2]):
        if marked:
            layer.extra = nn.Identity()
        else:
            nn.utils.parametrizations.weight_norm(layer)
    batch = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4
    proxies = ["wrcor", "az_expressivity", "az_progressivity", "az_trainability"]
    found, expected = zc.score(other, batch, proxies), zc.score(plain, batch, proxies)
    for name in proxies:
        assert found[name] == pytest.approx(expected[name], rel=1e-4), name


@pytest.mark.parametrize("way", ["weight_norm", "orthogonal"])
def test_weights_that_the_caller_has_cached_are_not_taken(way):
    model, batch = net(way), (torch.rand(8, 3, 8, 8), torch.arange(8) % 4)
    expected = zc.score(model, batch, "snip,synflow,jacob_cov")
    with parametrize.cached():
        model(batch[0])
        kept = dict(parametrize._cache)
        found = zc.score(model, batch, "snip,synflow,jacob_cov")
        assert kept and parametrize._cache.keys() == kept.keys() and parametrize._cache_enabled == 1
    assert dict(found) == dict(expected) and not found.failures
