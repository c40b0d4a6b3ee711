"""torch's global defaults change no score, cause no failure, and are afterwards as they were."""

from __future__ import annotations

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as modules
from torch.overrides import TorchFunctionMode
from torch.utils import _device

import zerocost as zc
from zerocost.base.torch_state import kept_defaults

EVERY = zc.proxies.names()
CHANGES = {
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "device": lambda: torch.set_default_device("meta"),
    "precision": lambda: torch.set_float32_matmul_precision("medium"),
    "determinism": lambda: torch.use_deterministic_algorithms(True),
    "gradients": lambda: torch.set_grad_enabled(False),
    "tiny numbers": lambda: torch.set_flush_denormal(True),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
}


class Doubles(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        return 2 * result if function is F.linear else result


LEAKS = {
    **CHANGES,
    "device of a block": lambda: torch.device("meta").__enter__(),
    "mode": lambda: Doubles().__enter__(),
    "hook on all modules": lambda: modules.register_module_forward_hook(lambda module, given, result: 2 * result),
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
        *(torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled(), sys.float_info.min * 0.5 == 0),
        *(torch.is_autocast_enabled("cpu"), torch.overrides._get_current_function_mode_stack(), _device.CURRENT_DEVICE),
        dict(modules._global_forward_hooks),
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


@pytest.mark.parametrize("name", LEAKS)
@pytest.mark.parametrize("when", ["built", "run"])
def test_what_one_candidate_leaves_behind_changes_no_other(name, when):
    class Leaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = conv_net()
            if when == "built":
                LEAKS[name]()

        def forward(self, x):
            x = self.inner(x)
            if when == "run":
                LEAKS[name]()
            return x

    def ranked(candidates):
        return zc.rank(candidates, "digits:8", "snip,synflow,naswot", batch=16).frame.loc["last"].to_dict()

    expected, before = ranked({"first": conv_net, "last": conv_net}), defaults()
    found = ranked({"first": Leaks, "last": conv_net})
    assert {p: found[p] for p in ("snip", "synflow", "naswot")} == {
        p: expected[p] for p in ("snip", "synflow", "naswot")
    }
    assert defaults() == before
