from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.engine.watch.spectra import covariance_spectrum


def images(n=4, side=8):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def tokens(n=4, t=5, e=8):
    return torch.randn(n, t, e, generator=torch.Generator().manual_seed(0))


def rows(values):
    """N×C×positions as samples and positions by channels."""
    return values.flatten(2).transpose(1, 2).flatten(0, 1)


def between(model, x):
    """Output of each layer of a Sequential."""
    outputs = []
    for layer in model:
        x = layer(x)
        outputs.append(x.detach().clone())
    return outputs


def test_batch_norm_norms_are_of_samples_and_positions_by_channels(watched):
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(192, 5), nn.BatchNorm1d(5))
    outputs = between(model, images())
    found = watched("batch_norm_norms", model, images())
    for norms, matrix in zip(found, (rows(outputs[0]), outputs[3]), strict=True):
        expected = torch.stack([torch.linalg.matrix_norm(matrix), torch.linalg.matrix_norm(matrix, 2)])
        assert torch.allclose(norms.float(), expected, rtol=1e-5)
    assert "no BatchNorm" in str(watched("batch_norm_norms", nn.ReLU(), images()))


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5)])
def test_a_spectrum_is_that_of_the_covariance_largest_first(shape):
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0)[: min(shape)]
    assert torch.allclose(covariance_spectrum(x), expected.clamp(min=0), atol=1e-12)


def test_a_feed_forward_layer_is_seen_whatever_runs_before_its_activation(watched):
    class Gated(nn.Module):
        def __init__(self, gate_first):
            super().__init__()
            torch.manual_seed(0)
            self.gate, self.up, self.gate_first = nn.Linear(8, 12), nn.Linear(8, 12), gate_first

        def forward(self, x):
            if self.gate_first:
                return torch.nn.functional.silu(self.gate(x)) * self.up(x)
            gate, up = self.gate(x), self.up(x)
            return torch.nn.functional.silu(gate) * up

    one, other = (watched("feed_forward_spectra", Gated(first), tokens()) for first in (True, False))
    assert len(one) == len(other) == 1 and torch.equal(one[0], other[0])


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_feed_forward_layers_are_seen_before_their_activation(watched, activation):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, activation=activation)
    hidden = []
    layer.linear1.register_forward_hook(lambda m, i, out: hidden.append(out.detach().flatten(0, 1)))
    (found,) = watched("feed_forward_spectra", layer, tokens())
    centred = hidden[0].double() - hidden[0].double().mean(0)
    assert torch.allclose(found[:16], torch.linalg.svdvals(centred) ** 2 / len(centred), atol=1e-9)


def test_a_feed_forward_layer_may_multiply_from_the_left():
    class Left(nn.Linear):
        def forward(self, x):
            return (self.weight @ x.mT).transpose(1, 2)

    def score(kind):
        torch.manual_seed(0)
        model = nn.Sequential(kind(8, 6, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(30, 3))
        return zc.score(model, tokens(), "w_pca")

    assert dict(score(Left)) == dict(score(nn.Linear)) != {}


class Conv1D(nn.Linear):
    """A linear layer as GPT-2 writes it: tokens merged with samples, and the weight transposed."""

    def __init__(self, before, after):
        super().__init__(before, after)
        self.weight = nn.Parameter(self.weight.detach().T.contiguous())

    def forward(self, x):
        return torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight).view(*x.shape[:-1], -1)


class Cast(nn.Linear):
    def forward(self, x):
        return super().forward(x).double().float()


@pytest.mark.parametrize("kind", [Conv1D, Cast])
def test_a_feed_forward_layer_may_be_reshaped_or_cast_before_its_activation(kind):
    def score(linear):
        torch.manual_seed(0)
        model = nn.Sequential(linear(8, 6), nn.ReLU(), nn.Flatten(), nn.Linear(30, 3))
        return zc.score(model, tokens(), "w_pca")

    assert dict(score(kind)) == dict(score(nn.Linear)) != {}


def test_heads_of_attention_are_no_hidden_units(watched):
    model = nn.Sequential(nn.Linear(8, 6), nn.Unflatten(2, (3, 2)), nn.ReLU())
    assert "no feed-forward layer" in str(watched("feed_forward_spectra", model, tokens()))


def test_an_activation_in_place_is_seen_before_it_writes(watched):
    torch.manual_seed(0)
    one, other = (nn.Sequential(nn.Linear(8, 6), nn.ReLU(inplace=i)) for i in (False, True))
    other[0] = one[0]
    assert torch.equal(*(watched("feed_forward_spectra", m, tokens())[0] for m in (one, other)))


def test_layers_of_an_mlp_or_without_activation_are_no_feed_forward_layers(watched):
    for model, x in ((nn.Sequential(nn.Linear(8, 6), nn.ReLU()), tokens()[:, 0]), (nn.Linear(8, 6), tokens())):
        assert "no feed-forward layer" in str(watched("feed_forward_spectra", model, x))
