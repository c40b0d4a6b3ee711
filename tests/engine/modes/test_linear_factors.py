from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import zerocost as zc
from zerocost.engine.modes.linear_factors import Factors, LinearCalls, gradients_to

WIDTH = 260  # of a square layer that is large enough for its factors to be worth it


class Head(nn.Module):
    """Two large layers, the second used in a way of its own."""

    def __init__(self, way, bias=True):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = (nn.Linear(WIDTH, WIDTH, bias=bias) for _ in range(2))
        self.last, self.way = nn.Linear(WIDTH, 3), way

    def forward(self, x):
        return self.last(self.way(self.two, self.one(x).relu_()))


def overwritten(layer, x):
    return layer(x).relu_()


def twice(layer, x):
    return layer(layer(x).tanh())


def penalised(layer, x):
    return layer(x) + layer.weight.square().mean()


def left_aside(layer, x):
    layer(x)
    return x @ layer.weight


def tokens(layer, x):
    return layer(x[:, None] * torch.arange(1, 4)[:, None]).relu().sum(1)


def checkpointed(layer, x):
    return checkpoint(lambda v: layer(v).relu(), x, use_reentrant=False)


def untracked(layer, x):
    with torch.no_grad():
        shift = layer(x)
    return x + shift


PLAIN = {overwritten, tokens, checkpointed}
WAYS = [overwritten, twice, penalised, left_aside, tokens, checkpointed, untracked]


def gradients(model, x, calls):
    weights = [model.one.weight, model.two.weight, model.last.weight]
    with calls:
        outputs = model(x)
    return gradients_to(outputs.square().sum(), calls.sources(outputs, weights), retain_graph=True), weights, outputs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_the_product_of_the_factors_is_the_gradient(way, bias):
    x = torch.randn(2, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found, weights, outputs = gradients(Head(way, bias).double(), x, LinearCalls())
    expected = torch.autograd.grad(outputs.square().sum(), weights, allow_unused=True, materialize_grads=True)
    for gradient, known in zip(found, expected, strict=True):
        product = gradient.outputs.T @ gradient.inputs if isinstance(gradient, Factors) else gradient
        assert torch.allclose(product, known, rtol=1e-12, atol=1e-12)
    assert [isinstance(g, Factors) for g in found] == [True, way in PLAIN, False]


def test_calls_with_more_rows_than_are_worth_it_are_not_noted():
    for rows, noted in ((1, True), (2, False)):
        found, *_ = gradients(Head(overwritten), torch.randn(rows, WIDTH), LinearCalls(most_rows=1))
        assert isinstance(found[0], Factors) == noted
    found, *_ = gradients(Head(overwritten), torch.randn(WIDTH, WIDTH), LinearCalls())
    assert not isinstance(found[0], Factors)


@pytest.mark.parametrize("way", WAYS)
def test_scores_are_those_of_the_gradients_of_each_sample(way):
    model, n = Head(way).double(), 4
    x = torch.randn(n, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y = torch.arange(n) % 3
    weights = [p for p in model.parameters() if p.ndim > 1]
    losses = [nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]) for i in range(n)]
    of_loss, of_sum = (
        torch.stack(
            [torch.cat([g.flatten() for g in torch.autograd.grad(v, weights, materialize_grads=True)]) for v in of]
        )
        for of in (losses, [model(x)[i].sum() for i in range(n)])
    )
    card = zc.score(model, (x, y), "gradsign,knas,ntk_trace,ntk_condition")
    assert card["gradsign"] == pytest.approx(float(of_loss.sign().sum(0).abs().mean()), rel=1e-9)
    assert card["knas"] == pytest.approx(float((of_loss @ of_loss.T).mean()), rel=1e-9)
    assert card["ntk_trace"] == pytest.approx(float((of_sum.square().sum() / n).sqrt()), rel=1e-9)
    values = torch.linalg.eigvalsh(of_sum @ of_sum.T)
    assert card["ntk_condition"] == pytest.approx(-float(values[-1] / values[0]), rel=1e-6)
