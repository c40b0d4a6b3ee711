"""Lazy layers get weights in a copy; the model stays as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.model.lazy import has_lazy_layers, materialised


def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))


def test_lazy_layers_get_weights_from_the_seed_in_a_copy():
    images, model = torch.rand(4, 2, 8, 8), lazy()
    one, same, other = (materialised(model, images, seed) for seed in (0, 0, 1))
    assert has_lazy_layers(model) and not has_lazy_layers(one) and one.training
    assert one[4].weight.shape == (3, 4 * 6 * 6)
    assert torch.equal(one[4].weight, same[4].weight) and not torch.equal(one[4].weight, other[4].weight)
    assert torch.equal(one[1].running_mean, torch.zeros(4))


def test_a_model_without_lazy_layers_is_returned_as_it_is():
    model = nn.Linear(2, 2)
    assert materialised(model, torch.rand(1, 2)) is model


def test_lazy_networks_are_scored_and_ranked_as_if_they_had_weights():
    batch = (torch.rand(4, 2, 8, 8), torch.arange(4) % 3)
    model = lazy()
    card = zc.score(model, batch, "params,snip,naswot")
    assert card.failures == {} and has_lazy_layers(model)
    assert card["params"] == 4 * 2 * 9 + 4 + 8 + 3 * 4 * 36 + 3
    table = zc.rank({"lazy": lazy}, batch, "snip", batch=4)
    assert table.failures.empty


def test_lazy_layers_that_cannot_get_weights_are_a_named_failure():
    with pytest.raises(Failure, match=r"raised .* when its lazy layers saw a batch"):
        materialised(nn.LazyConv2d(4, 3), torch.rand(2, 5))
    unused = nn.Linear(2, 2)
    unused.other = nn.LazyLinear(2)
    assert "does not use" in zc.score(unused, torch.rand(2, 2), "params").failures["params"]
