"""A weight that is another one's transpose, in the same memory, is the other one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.engine.model.network import Network

BATCH = torch.randn(8, 6, generator=torch.Generator().manual_seed(1)), torch.arange(8) % 3
PROXIES = (
    "params,active_params,flops,snip,grasp,synflow,log_synflow,grad_norm,l2_norm,fisher,zico,near,vkdnw,jacob_cov,zen,"
    "ntk_trace,gradsign,peak_memory,training_memory,snip(initialisation=kaiming)"
)


class Autoencoder(nn.Module):
    """The decoder's weight is the encoder's transpose."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.head, self.bias = nn.Linear(6, 4), nn.Linear(6, 3), nn.Parameter(torch.rand(6))

    def transposed(self):
        return self.encoder.weight.T

    def forward(self, x):
        return self.head(F.linear(torch.relu(self.encoder(x)), self.transposed(), self.bias))


class AsParameter(Autoencoder):
    def __init__(self):
        super().__init__()
        self.decoder = nn.Linear(4, 6, bias=False)
        self.decoder.weight = nn.Parameter(self.encoder.weight.T)

    def transposed(self):
        return self.decoder.weight


class AsAttribute(Autoencoder):
    def __init__(self):
        super().__init__()
        self.kept = self.encoder.weight.T

    def transposed(self):
        return self.kept


class AsData(AsAttribute):
    def __init__(self):
        super().__init__()
        self.kept = self.encoder.weight.data.T


class ByPart(AsAttribute):
    def __init__(self):
        super().__init__()
        self.kept = self.encoder.weight[:2]

    def transposed(self):
        return torch.cat([self.kept, self.kept]).T


@pytest.mark.parametrize("kind", [AsParameter, AsAttribute, AsData])
def test_a_transposed_weight_counts_once(kind):
    expected = zc.score(Autoencoder(), BATCH, PROXIES)
    model = kind()
    found = zc.score(model, BATCH, PROXIES)
    assert dict(found) == pytest.approx(dict(expected), rel=1e-6) and not found.failures
    assert found["params"] == 24 + 4 + 18 + 3 + 6 and found.provenance["unused"] == []
    assert model.transposed().data_ptr() == model.encoder.weight.data_ptr()


def test_the_same_values_in_the_same_order_count_once():
    model = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False), nn.Linear(6, 3))
    model[1].weight = nn.Parameter(model[0].weight.data)
    assert zc.score(model, BATCH, "params")["params"] == 36 + 21
    assert zc.score(model, BATCH, "snip")["snip"] > 0


def test_a_transposed_weight_without_values_counts_once():
    with torch.device("meta"):
        model = AsParameter()
    assert dict(zc.score(model, BATCH, "params,flops")) == {"params": 55, "flops": 24 + 24 + 18}


def test_parts_of_one_buffer_are_weights_of_their_own():
    flat = torch.randn(36 + 18)
    model = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 3, bias=False))
    model[0].weight, model[1].weight = nn.Parameter(flat[:36].view(6, 6)), nn.Parameter(flat[36:].view(3, 6))
    assert zc.score(model, BATCH, "params,snip")["params"] == 54


def test_a_part_of_a_weight_that_an_attribute_keeps_is_a_named_failure():
    failures = zc.score(ByPart(), BATCH, "snip,synflow").failures
    assert failures.keys() == {"snip", "synflow"}
    assert all("around its modules" in reason for reason in failures.values())


def test_drawn_weights_keep_their_transposes():
    drawn = zc.score(AsParameter(), BATCH, "zen")
    assert drawn["zen"] == zc.score(Autoencoder(), BATCH, "zen")["zen"]
    assert len(Network(AsParameter()).views) == 1
