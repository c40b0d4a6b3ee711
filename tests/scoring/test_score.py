from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from scoring.small import batch, fixed, mlp
from zerocost.base.errors import Failure

EVERY = zc.proxies.names()


@pytest.fixture
def own(registries):
    """Registers a proxy for one test."""

    def register(formula, **declared):
        zc.proxy(paper="this test", **declared)(formula)
        return formula.__name__

    return register


def test_a_card_is_a_mapping_of_scores_with_failures_passes_and_provenance():
    card = zc.score(fixed(), batch(), "snip, jacob_cov,params")
    assert list(card) == ["snip", "jacob_cov", "params"] and len(card) == 3
    assert all(isinstance(value, float) for value in card.values())
    assert [p.name for p in card.passes] == ["data", "loss", "jacobian"]
    assert card.milliseconds == sum(p.milliseconds for p in card.passes) > 0
    assert card.provenance["inputs"] == (8, 4) and card.provenance["seed"] == 0
    assert card.provenance["zerocost"] == zc.__version__ and card.provenance["torch"] == torch.__version__


def test_asking_for_a_failed_score_gives_its_reason():
    card = zc.score(mlp(), batch()[0], "snip, naswot")
    assert "snip" not in card and card.get("snip") is None
    with pytest.raises(KeyError, match="snip failed: needs labels"):
        card["snip"]
    with pytest.raises(KeyError):
        card["never asked for"]


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (torch.ones(2), r"returned a tensor of shape \(2,\), expected one real number"),
        (torch.ones(0), r"shape \(0,\)"),
        (np.ones((2, 2)), r"shape \(2, 2\)"),
        (None, "returned None"),
        ("high", "returned high"),
        (1 + 2j, "one real number"),
        (torch.tensor(1 + 2j), "one real number"),
        (float("nan"), "the value is nan"),
        (torch.tensor(float("inf")), "the value is inf"),
    ],
)
def test_a_proxy_that_returns_no_number_fails_alone_and_clearly(own, returned, reason):
    def mine(weights):
        return returned

    card = zc.score(mlp(), batch(), f"{own(mine)}, snip")
    assert set(card) == {"snip"}
    assert re.search(reason, card.failures["mine"])


@pytest.mark.parametrize("returned", [torch.tensor([[2.0]]), np.float32(2), np.ones((1,)) * 2, 2, True + 1])
def test_a_proxy_may_return_any_kind_of_number(own, returned):
    def mine(weights):
        return returned

    assert zc.score(mlp(), batch(), own(mine))["mine"] == 2.0


@pytest.mark.parametrize("error", [ValueError("no"), ZeroDivisionError("no"), Failure("no")])
def test_a_proxy_that_raises_fails_alone(own, error):
    def mine(weights):
        raise error

    card = zc.score(mlp(), batch(), [own(mine), "snip"])
    assert set(card) == {"snip"} and card.failures["mine"].endswith("no")


def test_lower_is_better_is_turned_around(own):
    def up(weights):
        return 3.0

    def down(weights):
        return 3.0

    card = zc.score(mlp(), batch(), [own(up), own(down, higher_is_better=False)])
    assert dict(card) == {"up": 3.0, "down": -3.0}


def test_formulas_run_without_gradients_and_outside_the_callers_modes(own):
    def mine(weights):
        product = weights[0] @ weights[0].T
        assert not product.requires_grad and product.dtype == torch.float32
        return product.sum()

    with torch.autocast("cpu"):
        assert not zc.score(mlp(), batch(), own(mine)).failures


@pytest.mark.parametrize(
    ("model", "data", "proxies", "message"),
    [
        (mlp, batch(), "snip", "takes a torch.nn.Module, but got function; see rank"),
        (mlp(), batch(), "snipp", "unknown proxy 'snipp'; did you mean 'snip'"),
        (mlp(), batch(), "", "no proxy was named"),
        (mlp(), batch(), [], "no proxy was named"),
        (mlp(), (torch.zeros(0, 4), torch.zeros(0)), "snip", "empty"),
        (mlp(), (torch.full((2, 4), torch.nan), torch.arange(2)), "snip", "(?i)nan|finite"),
        (mlp(), "digits", "snip", "tensors"),
    ],
)
def test_input_that_cannot_be_used(model, data, proxies, message):
    with pytest.raises(zc.InputError, match=message):
        zc.score(model, data, proxies)


def test_another_loss_gets_the_labels_as_they_are():
    x, y = batch()
    seen = []

    def soft(outputs, labels):
        seen.append(labels)
        return F.cross_entropy(outputs, labels)

    zc.score(fixed(), (x, F.one_hot(y, 3).float()), "snip", loss=soft)
    assert seen[0].shape == (len(y), 3)


def test_what_a_loss_raises_is_said_to_be_of_the_loss():
    card = zc.score(fixed(), batch(), "snip,params", loss=lambda outputs: outputs.sum())
    assert card.failures["snip"].startswith("the loss raised TypeError: ")


@pytest.mark.parametrize(
    ("output", "proxies", "reason"),
    [
        (lambda logits: logits.argmax(1), "snip,knas", "the network returned torch.int64, which has no gradient"),
        (lambda logits: logits.mean(), "ntk_trace", "no path from the weights to the outputs, one row a sample"),
        (lambda logits: logits.to(torch.cfloat), "epsinas", "the outputs are complex numbers"),
    ],
)
def test_outputs_that_are_no_logits_are_named(output, proxies, reason):
    card = zc.score(fixed(), batch(), proxies, output=output)
    assert not card and all(why.startswith(reason) for why in card.failures.values())


class Logits(nn.Module):
    """A network of one output as one of two."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        z = self.inner(x)
        return torch.cat([torch.zeros_like(z), z], 1)


def test_one_output_scores_as_two_logits_of_which_the_first_is_0():
    torch.manual_seed(0)
    maps = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net = nn.Sequential(maps, nn.Linear(8, 1)).double()
    x, y = torch.randn(8, 3, 8, 8, dtype=torch.double), torch.arange(8) % 2
    ours, two = zc.score(net, (x, y), EVERY), zc.score(Logits(net), (x, y), EVERY)
    assert "snip" in ours and "epe_nas" in ours and "gradsign" in ours
    assert dict(ours) == pytest.approx({name: two[name] for name in ours}, rel=1e-9)
    for labels in (y[:, None], y.bool(), y.float(), y[:, None].double().numpy(), F.one_hot(y)):
        assert dict(zc.score(net, (x, labels), EVERY)) == dict(ours)
    vector = nn.Sequential(net, nn.Flatten(0))
    assert zc.score(vector, (x, y), "snip")["snip"] == pytest.approx(ours["snip"])


def test_one_output_takes_labels_0_and_1_only():
    x, y = batch()
    with pytest.raises(zc.InputError, match="1 output, so labels must be 0 or 1; for other targets pass loss="):
        zc.score(nn.Linear(4, 1), (x, torch.full_like(y, 2)), "snip")
    with pytest.raises(zc.InputError, match="needs integer classes"):
        zc.score(nn.Linear(4, 1), (x, torch.rand(len(y), 1)), "snip", task="classification")


def test_explain_tells_the_runs_of_the_default_proxies():
    plan = zc.explain()
    assert (plan.forwards, plan.backwards) == (2, 4)
    assert "synflow" in str(plan)
