"""A linear layer in any spelling scores as torch's own, its bias included."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc

SPELLINGS = {
    "(W xT)T + b": lambda x, w, b: (w @ x.T).T + b,
    "(W xT + b)T": lambda x, w, b: (w @ x.T + b[:, None]).T,
    "a vector each": lambda x, w, b: (w @ x[..., None])[..., 0] + b,
    "bmm": lambda x, w, b: torch.bmm(w.expand(len(x), -1, -1), x[..., None]).squeeze(-1) + b,
    "einsum": lambda x, w, b: torch.einsum("ni,oi", x, w) + b,
    "einsum, columns": lambda x, w, b: torch.einsum("oi,ni->on", w, x).T + b,
    "tensordot": lambda x, w, b: torch.tensordot(w, x, dims=([1], [1])).T + b,
    "addmm": lambda x, w, b: torch.addmm(b[:, None], w, x.T).T,
    "inner": lambda x, w, b: torch.inner(x, w) + b,
    "linear": lambda x, w, b: F.linear(w, x).T + b,
    "expanded bias": lambda x, w, b: x @ w.T + b.expand(len(x), -1),
    "repeated bias": lambda x, w, b: x @ w.T + b.repeat(len(x), 1),
    "threshold": lambda x, w, b: x @ w.T - (-b),
}
PROXIES = "near,fisher,naswot,naswot_conv,swap,zen,depth,flops,synflow,zico_bc"


class _Net(nn.Module):
    def __init__(self, layer):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.weights = layer, nn.ParameterList([torch.randn(8, 6), torch.randn(4, 8)])
        self.biases = nn.ParameterList([torch.randn(8), torch.randn(4)])

    def forward(self, x):
        first, last = zip(self.weights, self.biases, strict=True)
        return self.layer(torch.relu(self.layer(x, *first)), *last)


@pytest.mark.parametrize("samples", [8, 9])  # 8 is also the number of hidden units
@pytest.mark.parametrize("name", SPELLINGS)
def test_a_linear_layer_in_any_spelling(name, samples):
    batch = torch.randn(samples, 6, generator=torch.Generator().manual_seed(1)), torch.arange(samples) % 4
    expected, found = (zc.score(_Net(layer), batch, PROXIES) for layer in (F.linear, SPELLINGS[name]))
    assert dict(found) == pytest.approx(dict(expected), rel=1e-5) and "near" in found


def test_what_is_added_after_an_activation_is_no_bias():
    def score(layer):
        class Shifted(_Net):
            def forward(self, x):
                x = torch.relu(layer(x, self.weights[0])) + self.biases[0]
                return F.linear(x, self.weights[1], self.biases[1])

        batch = torch.randn(9, 6, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 4
        return dict(zc.score(Shifted(None), batch, "near,fisher,zen"))

    assert score(lambda x, w: x @ w.T) == pytest.approx(score(F.linear), rel=1e-5)
