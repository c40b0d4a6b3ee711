from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.engine.losses import cross_entropy
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.engine.settings import Settings
from zerocost.proxies import resolve

N = 5


def batch():
    x = torch.randn(N, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x, torch.arange(N) % 3


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    ).double()
    model[1].running_mean.fill_(0.2)
    return model


def one_at_a_time(model, x, y):
    """Gradients of each sample's loss by backward, for each weight matrix: N×…."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    found = []
    for i in range(len(x)):
        model.zero_grad()
        F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        found.append([w.grad.clone() for w in weights])
    return [torch.stack(each) for each in zip(*found, strict=True)]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_sums_of_gradients_and_of_signs_are_those_of_one_sample_at_a_time(mode):
    found = measure(
        network(), [batch()], plan(resolve([f"gradsign(mode={mode})", f"knas(mode={mode})"])), cross_entropy, 0
    )
    signals = found.signals[Settings(mode=mode)]
    expected = one_at_a_time(network().train(mode == "train"), *batch())
    for total, signs, gradients in zip(
        signals["sample_gradient_sums"], signals["sample_gradient_signs"], expected, strict=True
    ):
        assert torch.allclose(total, gradients.sum(0), atol=1e-12)
        assert torch.equal(signs, gradients.sign().sum(0))


def test_scores_are_those_of_the_gradients_taken_one_by_one():
    gradients = torch.cat([g.flatten(1) for g in one_at_a_time(network(), *batch())], dim=1)
    card = zc.score(network(), batch(), "gradsign,knas")
    assert card["gradsign"] == pytest.approx(float(gradients.sign().sum(0).abs().mean()), rel=1e-12)
    assert card["knas"] == pytest.approx(float((gradients @ gradients.T).mean()), rel=1e-10)


def test_without_batch_norm_the_sum_is_that_of_the_whole_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    card = zc.score(model, batch(), "knas,global_grad_norm")
    weights = [p for p in model.parameters() if p.ndim > 1]
    mean = torch.autograd.grad(F.cross_entropy(model(batch()[0]), batch()[1]), weights)
    assert card["knas"] == pytest.approx(sum(float(g.square().sum()) for g in mean), rel=1e-10)


def test_samples_of_a_setting_are_the_first():
    x, y = batch()
    card, first = zc.score(network(), (x, y), "knas(samples=2)"), zc.score(network(), (x[:2], y[:2]), "knas")
    assert card["knas(samples=2)"] == first["knas"]


def test_each_sample_draws_dropout_of_its_own_reproducibly():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(108, 3)).double()
    x, y = batch()
    same = x[:1].expand(N, -1, -1, -1), y[:1].expand(N)
    one, again = (zc.score(model, same, "gradsign,knas") for _ in range(2))
    assert dict(one) == dict(again)
    assert one["knas"] != pytest.approx(zc.score(model, (x[:1], y[:1]), "knas")["knas"], rel=1e-6)


def test_a_sample_whose_label_is_left_out_is_a_failure_with_the_reason():
    x, y = batch()
    y[2] = -100
    card = zc.score(network(), (x, y), "knas,snip")
    assert card.failures == {"knas": "a sample of label -100 has no loss of its own"}


def test_a_failure_of_one_sample_is_the_reason():
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    card = zc.score(model, batch(), "knas,snip")
    assert "Expected more than 1 value per channel" in card.failures["knas"] and "snip" in card
    assert "needs labels" in zc.score(network(), batch()[0], "knas").failures["knas"]
