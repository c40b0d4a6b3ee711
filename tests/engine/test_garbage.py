"""What a scoring leaves for the garbage collector holds no tensor, so that no map is kept longer than it is needed."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.testing.zoo import ZOO


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


def network(activation):
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), activation, nn.Conv2d(4, 4, 3), activation
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def tensors_left(model, batch, names):
    """The tensors that only the garbage collector takes away after a scoring."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        zc.score(model, batch, names)
        gc.collect()
        return [tuple(found.shape) for found in gc.garbage if isinstance(found, torch.Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True), nn.SiLU(), Swish()], ids=repr)
def test_of_a_convolutional_network(activation):
    model, batch = network(activation), (torch.randn(6, 3, 8, 8), torch.arange(6) % 3)
    assert zc.score(model, batch, zc.proxies.names()).failures  # and what is made once and kept
    assert tensors_left(model, batch, zc.proxies.names()) == []


def test_of_a_transformer():
    model, batch = ZOO["vit"].build(), ZOO["vit"].batch(6, seed=0)
    assert zc.score(model, batch, zc.proxies.names()).failures
    assert tensors_left(model, batch, zc.proxies.names()) == []


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(self.layer(x).relu())[:, 9]


@pytest.mark.parametrize("names", [["grasp"], ["flops", "snip"], ["zico", "log_synflow", "zen"]], ids=",".join)
def test_of_a_network_that_raises(names):
    model, batch = Raises(), (torch.randn(6, 4), torch.arange(6) % 3)
    assert set(zc.score(model, batch, names).failures) == set(names)
    assert tensors_left(model, batch, names) == []
