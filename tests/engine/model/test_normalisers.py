from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.engine.model.normalisers import find_normalisers

EVERY = "zen,near,t_cet,meco,az_expressivity,az_trainability,synflow,log_synflow,snr_synflow,synflow_bn"


class Scale(nn.Module):
    """What normalisation by hand has: a scale, a shift."""

    def __init__(self, size):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))


class Llama(Scale):
    def forward(self, x):
        dtype, x = x.dtype, x.double()
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * x.to(dtype)


class Gemma(Scale):
    def forward(self, hidden):
        return hidden / hidden.norm(dim=-1, keepdim=True).clamp(min=1e-12) * hidden.shape[-1] ** 0.5 * self.weight


class Normalize(Scale):
    def forward(self, x):
        return F.normalize(x, dim=-1) * x.shape[-1] ** 0.5 * self.weight


class Bert(Scale):
    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        return self.weight * ((x - mean) / torch.sqrt((x - mean).pow(2).mean(-1, keepdim=True) + 1e-5)) + self.bias


class VarMean(Scale):
    def forward(self, x):
        var, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
        return (x - mean) * torch.rsqrt(var + 1e-5) * self.weight + self.bias


class ChannelsFirst(Scale):
    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt((x - mean).square().mean(1, keepdim=True) + 1e-5)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class PixelNorm(nn.Module):
    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class LayerScale(Scale):
    def forward(self, x):
        return x * self.weight


class Tanh(Scale):
    def forward(self, x):
        return torch.tanh(0.5 * x) * self.weight + self.bias


class Softmax(Scale):
    def forward(self, x):
        return torch.exp(x - x.amax(-1, keepdim=True)) / torch.exp(x - x.amax(-1, keepdim=True)).sum(-1, keepdim=True)


class Centre(Scale):
    def forward(self, x):
        return x - x.mean(-1, keepdim=True)


class Sign(Scale):
    def forward(self, x):
        return x.sign() * self.weight


class Noisy(Scale):
    def forward(self, x):
        return x * torch.rand_like(x)


def test_what_normalises_is_told_from_what_does_not():
    normalising = [Llama(8), Gemma(64), Normalize(8), Bert(300), VarMean(8), ChannelsFirst(8), PixelNorm()]
    others = [LayerScale(300), Tanh(8), Softmax(8), Centre(8), Sign(8), Noisy(8), nn.LayerNorm(8), nn.Linear(1, 8)]
    state = torch.get_rng_state()
    assert find_normalisers(nn.Sequential(*normalising, *others)) == dict(
        zip(normalising, [-1, -1, -1, -1, -1, 1, 1], strict=True)
    )
    assert torch.equal(torch.get_rng_state(), state)


class Block(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.norm, self.up, self.down = norm(8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


def tokens(norm):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), Block(norm), Block(norm), norm(8), nn.Flatten(), nn.Linear(80, 3)).double()
    for name, parameter in model.named_parameters():
        if ".norm." in name:
            parameter.data += torch.rand(8) if "weight" in name else 0
    return model


@pytest.mark.parametrize(
    ("by_hand", "of_torch"),
    [
        (Llama, lambda d: nn.RMSNorm(d, 1e-6)),
        (Gemma, lambda d: nn.RMSNorm(d, 1e-12)),
        (Normalize, lambda d: nn.RMSNorm(d, 1e-12)),
        (Bert, nn.LayerNorm),
        (VarMean, nn.LayerNorm),
    ],
)
def test_normalisation_by_hand_is_that_of_torch_to_every_proxy(by_hand, of_torch):
    batch = torch.randn(4, 10, 5, generator=torch.Generator().manual_seed(1)), torch.arange(4) % 3
    expected = zc.score(tokens(of_torch), batch, EVERY).scores
    assert len(expected) == 10
    assert zc.score(tokens(by_hand), batch, EVERY).scores == pytest.approx(expected, rel=1e-6)


def test_one_of_maps_is_group_normalisation_in_one_group_of_each_pixel():
    class Moved(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x.movedim(1, -1)).movedim(-1, 1)

    def net(norm):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3), norm(6), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.Flatten(), nn.Linear(96, 3)
        ).double()

    batch = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(4) % 3
    names = "zen,t_cet,synflow,log_synflow,snr_synflow"
    assert zc.score(net(ChannelsFirst), batch, names).scores == pytest.approx(zc.score(net(Moved), batch, names).scores)


def test_a_module_that_is_given_a_gate_is_not_taken_for_normalisation():
    class Gated(Llama):
        def forward(self, x, gate=None):
            return super().forward(x if gate is None else x * F.silu(gate))

    class Net(nn.Module):
        def __init__(self, inside):
            super().__init__()
            torch.manual_seed(0)
            self.one, self.gate, self.norm = nn.Linear(5, 8), nn.Linear(5, 8), Gated(8)
            self.last, self.inside = nn.Linear(8, 3), inside

        def forward(self, x):
            if self.inside:
                return self.last(self.norm(self.one(x), self.gate(x)))
            return self.last(self.weigh(self.one(x) * F.silu(self.gate(x))))

        def weigh(self, x):
            return self.norm.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))

    batch = torch.randn(4, 5, generator=torch.Generator().manual_seed(1)).double(), torch.arange(4) % 3
    names = "naswot,near,synflow"
    inside, outside = (zc.score(Net(inside).double(), batch, names).scores for inside in (True, False))
    assert inside == pytest.approx(outside) and len(inside) == 3
