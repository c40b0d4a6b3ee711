from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.engine.losses import cross_entropy
from zerocost.engine.model.network import Network
from zerocost.engine.modes.call_mode import FlowMode
from zerocost.engine.modes.wide_range import WideRangeMode
from zerocost.engine.passes.base import PassInput
from zerocost.engine.passes.flow import _backward


def chain(layers, width, value, act=nn.ReLU, bias=False):
    """Linear layers of one weight: R = n·(n·value)^layers, and every gradient R / (n²·value)."""
    model = nn.Sequential(*[part for _ in range(layers) for part in (nn.Linear(width, width, bias=bias), act())])
    for p in model.parameters():
        nn.init.constant_(p, value)
    return model


def log_synflow(model, *shape):
    x = torch.rand(4, *shape, generator=torch.Generator().manual_seed(0))
    return zc.score(model, (x, torch.arange(4) % 3), "log_synflow")["log_synflow"]


@pytest.mark.parametrize(
    ("layers", "width", "value", "act"),
    [
        (1200, 4, 1.0, nn.ReLU),
        (150, 128, 4.0, nn.Identity),
        (700, 8, 0.25, nn.ReLU),
        (40, 4, 1e38, nn.ReLU),
        (400, 8, 4.0, nn.GELU),
        (400, 8, 4.0, nn.SiLU),
    ],
)
def test_a_chain_that_overflows_has_the_logarithms_of_its_products(layers, width, value, act):
    value32 = float(torch.tensor(value))
    log = layers * math.log(width * value32) - math.log(width * value32)
    expected = layers * width**2 * value32 * log
    assert log_synflow(chain(layers, width, value, act), width) == pytest.approx(expected, rel=1e-6)


def test_a_flow_that_vanishes_on_its_way_is_followed():
    falls, rises = chain(400, 16, 1e-3), chain(400, 16, 4.0)
    small = float(torch.tensor(1e-3))
    log = math.log(16) + 400 * (math.log(16 * small) + math.log(64)) - 2 * math.log(16)
    expected = sum(400 * 256 * w * math.log1p(math.exp(log - math.log(w))) for w in (small, 4.0))
    assert log_synflow(nn.Sequential(falls, rises), 16) == pytest.approx(expected, rel=1e-9)
    assert log_synflow(falls, 16) == 0


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x):
        out = self.body(x)
        out += x
        return nn.functional.leaky_relu(out) / 2 + torch.cat([x[:, :2], x[:, 2:] * 3], 1).clamp(min=0)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.out, self.mix = nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 8, bias=False)

    def forward(self, x):
        q, k, v = self.into(x).chunk(3, -1)
        x = x + self.out(torch.softmax(q @ k.transpose(1, 2) / 3, -1) @ v)
        return x + torch.sigmoid(x) * self.mix(nn.functional.gelu(x * torch.rsqrt(x.pow(2).mean(-1, True) + 1e-6)))


def residual(depth):
    torch.manual_seed(0)
    blocks = [Block(4) for _ in range(depth)]
    return nn.Sequential(nn.Conv2d(3, 4, 1), *blocks, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 3))


def plain_and_wide(model, *shape):
    """The flow by both modes, as logarithms."""
    batch = PassInput(Network(model), torch.rand(2, *shape), None, cross_entropy, frozenset(), 0)
    plain, wide = _backward(batch, FlowMode), _backward(batch, WideRangeMode)
    assert wide.exponent > 64
    return torch.cat([g.log().flatten() for g in plain.flows]), torch.cat(
        [g.log().flatten() + wide.exponent * math.log(2) for g in wide.flows]
    )


def test_where_float64_is_wide_enough_both_agree():
    plain, wide = plain_and_wide(residual(80), 3, 8, 8)
    assert plain.isfinite().all() and float(plain.max()) > 100
    assert torch.allclose(plain, wide, rtol=1e-12, atol=1e-12)


def test_residual_networks_of_any_depth_have_a_number():
    assert 0 < log_synflow(residual(250), 3, 8, 8) < 1e9


def test_attention_and_gates_of_any_depth_have_a_number():
    torch.manual_seed(0)
    layers = [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu") for _ in range(60)]
    assert 0 < log_synflow(nn.Sequential(*layers, nn.Flatten(), nn.Linear(40, 3)), 5, 8) < 1e9
    assert (
        0 < log_synflow(nn.Sequential(*[Attention() for _ in range(120)], nn.Flatten(), nn.Linear(40, 3)), 5, 8) < 1e9
    )


def test_a_shallow_head_beside_a_deep_trunk_keeps_its_logarithms():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.head = chain(300, 4, 8.0), nn.Linear(4, 4, bias=False)

        def forward(self, x):
            return torch.cat([self.trunk(x), self.head(x)], 1)

    model = Two()
    deep = log_synflow(model.trunk, 4)
    shallow = float(model.head.weight.detach().abs().double().sum()) * math.log(2)
    assert log_synflow(model, 4) - deep == pytest.approx(shallow, rel=1e-3)


def test_weights_that_are_not_numbers_are_a_failure():
    model = chain(3, 4, 1.0)
    nn.init.constant_(model[0].weight, math.inf)
    card = zc.score(model, (torch.rand(4, 4), torch.arange(4) % 3), "log_synflow")
    assert "not finite" in card.failures["log_synflow"]


class Applied(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("by_hand", "library"),
    [
        (lambda x: x.masked_fill(x < 0, 0.0), nn.functional.relu),
        (nn.Threshold(0.0, 0.0), nn.functional.relu),
        (lambda x: torch.addcmul(x, x, torch.sigmoid(x), value=0.5), lambda x: x + 0.5 * nn.functional.silu(x)),
        (lambda x: torch.lerp(x, 3 * x, 0.5), lambda x: x * 2),
        (lambda x: torch.log1p(torch.exp(x)), nn.functional.softplus),
        (lambda x: torch.log(1 + torch.exp(x)), nn.functional.softplus),
    ],
)
def test_steps_by_hand_have_the_range_of_what_they_compute(by_hand, library):
    def deep(function):
        torch.manual_seed(0)
        layers = [layer for _ in range(60) for layer in (nn.Linear(8, 8), Applied(function))]
        model = nn.Sequential(*layers, nn.Linear(8, 3)).double()
        for parameter in model.parameters():
            parameter.data *= 1e6
        return log_synflow(model, 8)

    assert deep(by_hand) == pytest.approx(deep(library), rel=1e-9)
