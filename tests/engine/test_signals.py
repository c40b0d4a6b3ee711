from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure, InputError
from zerocost.engine.proxy import REGISTRY
from zerocost.engine.signals import SIGNALS, measured_signals, requested_signals, signal_value


def batch(n=6):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3


def test_an_unknown_parameter_fails_when_it_is_registered_with_the_nearest_match():
    with pytest.raises(InputError, match=r"proxy 'mine'.*'weight_gradient'; did you mean 'weight_gradients'"):

        @zc.proxy(paper="none")
        def mine(weight_gradient):
            return 0

    with pytest.raises(InputError, match=r"signal 'norms'.*'weigths'; did you mean 'weights'"):

        @zc.signal
        def norms(weigths):
            return 0

    assert "mine" not in REGISTRY and "norms" not in SIGNALS


def test_a_measured_signal_cannot_be_replaced():
    with pytest.raises(InputError, match="'outputs' is measured by the data pass"):

        @zc.signal
        def outputs(weights):
            return 0


def test_a_derived_signal_is_planned_by_its_sources_and_computed_once(registries):
    calls = []

    @zc.signal
    def gradient_norms(weight_gradients):
        """Norm of each gradient."""
        calls.append(1)
        return torch.stack([g.norm() for g in weight_gradients])

    @zc.signal
    def largest(gradient_norms, outputs):
        return gradient_norms.max()

    @zc.proxy(paper="this test")
    def spread(gradient_norms, largest):
        return largest / gradient_norms.min()

    @zc.proxy(paper="this test", higher_is_better=False)
    def steepest(largest):
        return largest

    assert measured_signals(["largest"]) == {"weight_gradients", "outputs"}
    assert [step.name for step in zc.explain("steepest").passes] == ["data", "loss"]
    assert "weight_gradients for spread, steepest" in str(zc.explain("spread,steepest"))
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    card = zc.score(model, batch(), "spread, steepest, grad_norm")
    assert calls == [1]
    assert card["steepest"] < 0 and card["grad_norm"] > -card["steepest"] and card["spread"] >= 1


def test_a_derived_signal_that_fails_fails_each_proxy_with_its_reason(registries):
    calls = []

    @zc.signal
    def impossible(weights):
        calls.append(1)
        raise Failure("cannot be had")

    @zc.signal
    def buggy(weights):
        return weights[99]

    @zc.proxy(paper="this test")
    def one(impossible):
        return 0.0

    @zc.proxy(paper="this test")
    def two(impossible):
        return 0.0

    @zc.proxy(paper="this test")
    def three(buggy):
        return 0.0

    card = zc.score(nn.Linear(4, 3), batch(), "one, two, three, snip")
    assert card.failures == {
        "one": "cannot be had",
        "two": "cannot be had",
        "three": "IndexError: list index out of range",
    }
    assert calls == [1] and "snip" in card


def test_requests_are_parameter_names_and_missing_signals_are_reported():
    assert requested_signals(lambda loss, outputs: 0, "proxy") == ("loss", "outputs")
    with pytest.raises(KeyError):
        signal_value("outputs", {})
    with pytest.raises(Failure, match="why"):
        signal_value("outputs", {"outputs": Failure("why")})
