"""Every built-in proxy keeps every promise on every network of the zoo; and a proxy that breaks one is caught."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.testing import ZOO, Specimen, check_proxy
from zerocost.testing.proxies import (
    CHECKS,
    check_dead,
    check_finite,
    check_global_state,
    check_sign,
    check_split,
    check_tied,
    check_together,
    check_unchanged,
    score_specimen,
)
from zerocost.testing.zoo import gaussian_inputs

BUILT_IN = zc.proxies.names()
AFRESH = (check_global_state, check_sign)
"""Checks for which it matters that a network is scored now."""


@pytest.fixture(scope="module")
def once():
    """Scores a specimen as checks do, the first time that one asks for them."""
    cards = {}

    def scored_once(names, specimen, dtype=torch.float64):
        key = (*names, id(specimen), dtype)
        if key not in cards:
            cards[key] = score_specimen(names, specimen, dtype)
        return cards[key]

    return scored_once


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("label", ZOO)
def test_promise(label, check, once, monkeypatch):
    if check not in AFRESH:
        monkeypatch.setattr("zerocost.testing.proxies.score_specimen", once)
    check(BUILT_IN, ZOO[label])


def test_a_dead_network_never_scores_zero():
    check_dead(BUILT_IN)


def test_tied_weights_count_once():
    check_tied(BUILT_IN)


@pytest.fixture
def broken(registries):
    """Registers a proxy for one test."""

    def register(function, **declared):
        zc.proxy(paper="this test", **declared)(function)
        return function.__name__

    return register


def test_one_line_checks_a_proxy_of_ones_own(broken):
    def matrices(weights):
        return len(weights)

    check_proxy(broken(matrices), {"mlp": ZOO["mlp"]})


def test_a_proxy_with_settings_and_a_variant_are_checked_too(broken):
    def spread(outputs):
        return outputs.std()

    check_proxy(broken(spread, mode="eval", samples=3), {"conv-bn": ZOO["conv-bn"]})
    check_proxy("zico(parts=3),naswot(initialisation=gaussian, repeats=2)", {"conv-bn": ZOO["conv-bn"]})


def test_a_variant_that_breaks_a_promise_is_caught_too(broken):
    seen = []

    def forgetful(weights, *, step=1):
        seen.append(step)
        return float(sum(seen))

    broken(forgetful)
    with pytest.raises(AssertionError, match=r"forgetful\(step=2\) .* alone but"):
        check_together(["forgetful(step=2)"], ZOO["mlp"])


def test_a_failing_check_names_the_network(broken):
    def zero(weights):
        return 0.0

    with pytest.raises(AssertionError, match="dead: zero is 0 for a network without a path"):
        check_proxy(broken(zero), {"mlp": ZOO["mlp"]})


def test_a_proxy_that_is_not_a_number_is_a_failure_and_passes(broken):
    def not_a_number(weights):
        return float("nan")

    name = broken(not_a_number)
    check_finite([name], ZOO["mlp"])
    assert "nan" in zc.score(ZOO["mlp"].build(), ZOO["mlp"].batch(4, 0), name).failures[name]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda weights: {}["x"], "the proxy raised KeyError"),
        (lambda weights: weights[0], "the proxy returned a tensor of shape"),
    ],
)
def test_a_proxy_that_raises_or_returns_no_number_is_caught(broken, result, message):
    def wrong(weights):
        return result(weights)

    with pytest.raises(AssertionError, match=f"mlp: wrong is .*{message}"):
        check_proxy(broken(wrong), {"mlp": ZOO["mlp"]})


def test_a_proxy_that_remembers_is_caught(broken):
    seen = []

    def forgetful(weights):
        seen.append(1)
        return float(len(seen))

    with pytest.raises(AssertionError, match=r"forgetful .* alone but"):
        check_together([broken(forgetful)], ZOO["mlp"])


def test_a_proxy_that_writes_into_its_signals_is_refused(broken):
    def careless(weights):
        weights[0].zero_()
        return 1.0

    model = ZOO["mlp"].build()
    before = model[0].weight.clone()
    with pytest.raises(zc.InputError, match=r"careless.*writes into its signals"):
        zc.score(model, ZOO["mlp"].batch(4, 0), broken(careless))
    assert torch.equal(model[0].weight, before)


def test_random_numbers_in_a_formula_follow_the_seed(broken):
    def dice(weights):
        return float(torch.rand(1)) + random.random()

    name = broken(dice)
    check_together([name], ZOO["mlp"])
    check_global_state([name], ZOO["mlp"])


def test_tied_weights_counted_twice_are_caught(broken, monkeypatch):
    def matrices(weights):
        return float(len(weights))

    check_tied([broken(matrices)])
    twice = lambda modules, kind: {f"{p}.{n}": t for p, m in modules.items() for n, t in vars(m)[kind].items()}  # noqa: E731
    monkeypatch.setattr("zerocost.engine.model.network.unique_tensors", twice)
    with pytest.raises(AssertionError, match=r"matrices is 3.0 for two layers that share their weight, but 2.0"):
        check_tied(["matrices"])


def test_a_changed_model_is_caught(monkeypatch):
    monkeypatch.setattr("zerocost.engine.model.guard.Snapshot.put_back", lambda _: None)
    with pytest.raises(AssertionError, match="changes the model"):
        check_unchanged(["naswot"], ZOO["stateful"])


def test_a_batch_split_across_batch_norm_is_caught(monkeypatch):
    monkeypatch.setattr("zerocost.engine.memory.why_not_split", lambda *_, **__: None)
    with pytest.raises(AssertionError, match="where only 4 samples fit"):
        check_split(["snip"], ZOO["conv-bn"])


def test_the_zoo_can_be_ones_own():
    mine = Specimen(lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)), gaussian_inputs(3))
    check_proxy("snip, naswot", {"tanh": mine})
