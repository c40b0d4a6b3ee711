"""torch's global defaults change no score, cause no failure, and are afterwards as they were."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.torch_state import kept_defaults

EVERY = zc.proxies.names()
CHANGES = {
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "device": lambda: torch.set_default_device("meta"),
    "precision": lambda: torch.set_float32_matmul_precision("medium"),
    "determinism": lambda: torch.use_deterministic_algorithms(True),
    "gradients": lambda: torch.set_grad_enabled(False),
}


def conv_net() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)),
    )


def batch():
    return torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 10


def defaults():
    return (
        *(torch.get_default_dtype(), torch.get_default_device(), torch.get_float32_matmul_precision()),
        *(torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled()),
    )


@pytest.mark.parametrize("name", CHANGES)
def test_a_default_changes_no_score(name):
    model, drawn = conv_net(), batch()
    expected = zc.score(model, drawn, EVERY)
    with kept_defaults():
        CHANGES[name]()
        changed = defaults()
        found = zc.score(model, drawn, EVERY)
        assert defaults() == changed
    assert (dict(found), found.failures) == (dict(expected), expected.failures)


@pytest.mark.parametrize("name", CHANGES)
def test_a_default_changes_no_ranking(name):
    def ranked():
        return zc.rank({"a": conv_net, "b": conv_net}, "digits:8", "snip,zen,naswot", batch=16).frame.to_dict()

    expected = ranked()
    assert expected["snip"]["a"] > 0
    with kept_defaults():
        CHANGES[name]()
        found = ranked()
    assert found == expected


@pytest.mark.parametrize("name", CHANGES)
def test_a_network_that_sets_a_default_does_not_leave_it_so(name):
    class Sets(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = conv_net()

        def forward(self, x):
            x = self.inner(x)
            CHANGES[name]()
            return x

    torch.manual_seed(0)
    model, before = Sets(), defaults()
    found, expected = zc.score(model, batch(), EVERY), zc.score(model.inner, batch(), EVERY)
    assert defaults() == before
    assert {p: found.get(p) for p in ("snip", "synflow", "zico", "grasp")} == {
        p: expected.get(p) for p in ("snip", "synflow", "zico", "grasp")
    }
