"""A linear layer in any spelling scores as torch's own, its bias included."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc

SPELLINGS = {
    "(W xT)T + b": lambda x, w, b: (w @ x.T).T + b,
    "t(W t(x)) + b": lambda x, w, b: (w @ x.t()).t() + b,
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
    "baddbmm": lambda x, w, b: torch.baddbmm(b[None, None], x[None], w.T[None])[0],
    "baddbmm, a vector each": lambda x, w, b: torch.baddbmm(b.expand(len(x), 1, -1), x[:, None], _each(w.T, x))[:, 0],
    "product and sum": lambda x, w, b: (x[:, None] * w).sum(-1) + b,
    "product and sum, columns": lambda x, w, b: (x.unsqueeze(-1) * w.T).sum(dim=-2) + b,
    "linalg": lambda x, w, b: torch.linalg.matmul(x, w.mT) + b,
    "a copy of the weight": lambda x, w, b: x @ w.T.contiguous() + b,
    "the weight scaled": lambda x, w, b: x @ (1.0 * w).T + b,
    "the weight in another dtype": lambda x, w, b: (x.double() @ w.double().T).float() + b,
    "multi_dot": lambda x, w, b: torch.linalg.multi_dot([x, w.T]) + b,
    "addbmm": lambda x, w, b: torch.addbmm(b, x[None], w.T[None]),
    "vecdot": lambda x, w, b: torch.linalg.vecdot(x[:, None], w) + b,
    "sparse inputs": lambda x, w, b: torch.sparse.mm(x.to_sparse(), w.T) + b,
    "a sparse copy of the weight": lambda x, w, b: torch.sparse.mm(w.to_sparse(), x.T).T + b,
    "threshold": lambda x, w, b: x @ w.T - (-b),
}
PROXIES = "near,fisher,naswot,naswot_conv,swap,zen,depth,flops,synflow,zico_bc"


def _each(matrix, x):
    return matrix.expand(len(x), -1, -1)


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


@pytest.mark.parametrize(
    "product",
    [
        lambda x, w, v: torch.linalg.multi_dot([x, w.T, v.T]),
        lambda x, w, v: torch.einsum("ni,hi,oh->no", x, w, v),
        lambda x, w, v: torch.einsum("ni, hi, oh -> on", [x, w, v]).T,
    ],
)
def test_several_products_in_one_call_are_as_many_layers(product):
    class Several(_Net):
        def forward(self, x):
            return self.layer(x, *self.weights)

    batch = torch.randn(9, 6, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 4
    proxies = "near,fisher,naswot_conv,lnwot,depth,flops,synflow,zico_bc,grasp"
    expected, found = (zc.score(Several(way), batch, proxies) for way in (lambda x, w, v: x @ w.T @ v.T, product))
    assert dict(found) == pytest.approx(dict(expected), rel=1e-5) and found["depth"] == 2


def test_what_is_added_after_an_activation_is_no_bias():
    def score(layer):
        class Shifted(_Net):
            def forward(self, x):
                x = torch.relu(layer(x, self.weights[0])) + self.biases[0]
                return F.linear(x, self.weights[1], self.biases[1])

        batch = torch.randn(9, 6, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 4
        return dict(zc.score(Shifted(None), batch, "near,fisher,zen"))

    assert score(lambda x, w: x @ w.T) == pytest.approx(score(F.linear), rel=1e-5)


LOOPS = {
    "mv": lambda x, w, b: torch.stack([torch.mv(w, row) + b for row in x]),
    "addmv": lambda x, w, b: torch.stack([torch.addmv(b, w, row) for row in x]),
    "w @ row": lambda x, w, b: torch.stack([w @ row + b for row in x]),
    "vmap": lambda x, w, b: torch.vmap(lambda row: F.linear(row, w, b))(x),
    "vmap, @": lambda x, w, b: torch.vmap(lambda row: w @ row + b, out_dims=1)(x).T,
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_layer_for_each_sample_by_itself_is_counted_and_not_left_out_elsewhere(name):
    batch = torch.randn(9, 6, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 4
    proxies = "flops,depth,zico_bc,synflow,log_synflow,snip,near,fisher,naswot_conv,zen"
    expected, found = (zc.score(_Net(layer), batch, proxies) for layer in (F.linear, LOOPS[name]))
    assert found.failures.keys() == {"near", "fisher", "naswot_conv", "zen"}
    assert dict(found) == pytest.approx({name: expected[name] for name in found}, rel=1e-5)


def test_a_chunked_weight_is_as_many_layers_as_it_is_used_for():
    class Chunked(nn.Module):
        def __init__(self, parts):
            super().__init__()
            torch.manual_seed(0)
            both = torch.randn(16, 8)
            self.weights = nn.ParameterList(both.clone().chunk(2) if parts else [both])

        def forward(self, x):
            one, other = self.weights if len(self.weights) > 1 else self.weights[0].chunk(2)
            return torch.relu(x @ one.T) @ other.T

    batch = torch.randn(9, 8, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 8
    proxies = PROXIES.replace(",zico_bc", "")  # of whole weights
    one, other = (dict(zc.score(Chunked(parts), batch, proxies)) for parts in (False, True))
    assert one == pytest.approx(other, rel=1e-5) and one["depth"] == 2


EXPERTS = {
    "bmm": lambda x, w: torch.bmm(x.expand(len(w), -1, -1), w).movedim(0, 1),
    "matmul": lambda x, w: (x @ w).movedim(0, 1),
    "einsum, in groups": lambda x, w: torch.einsum("eni,eio->neo", x.expand(len(w), -1, -1), w),
    "linear": lambda x, w: torch.stack([F.linear(x[0], matrix.T) for matrix in w], 1),
}


@pytest.mark.parametrize("name", ["bmm", "matmul", "einsum, in groups"])
def test_a_weight_of_several_matrices_is_a_layer(name):
    class Experts(nn.Module):
        def __init__(self, layer):
            super().__init__()
            torch.manual_seed(0)
            self.weight, self.head, self.layer = nn.Parameter(torch.randn(3, 6, 8)), nn.Linear(8, 4), layer

        def forward(self, x):
            return self.head(torch.relu(self.layer(x[None], self.weight)).sum(1))

    batch = torch.randn(9, 6, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 4
    proxies = "depth,flops,naswot,snip,synflow,fisher"
    expected, found = (zc.score(Experts(EXPERTS[layer]), batch, proxies) for layer in ("linear", name))
    assert found.failures.keys() == {"fisher"} and "several matrices" in found.failures["fisher"]
    assert dict(found) == pytest.approx({name: expected[name] for name in found}, rel=1e-5) and found["depth"] == 2


def test_bilinear_is_a_layer():
    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.pairs = nn.Bilinear(6, 6, 4)

        def forward(self, x):
            return self.pairs(x, x)

    batch = torch.randn(9, 6, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 4
    card = zc.score(Pairs(), batch, "depth,near,fisher,zico_bc,flops")
    assert not card.failures and card["depth"] == 1 and card["flops"] == 4 * 6 * 6 + 4 * 6


def test_what_is_scaled_by_a_parameter_is_no_weight():
    class Scaled(nn.Module):
        def __init__(self, scale):
            super().__init__()
            torch.manual_seed(0)
            self.layer, self.scale = nn.Linear(6, 6), nn.Parameter(torch.rand(scale))

        def forward(self, x):
            x = (self.layer(x) * self.scale).clone()
            return (x @ x.mT).flatten(1)

    batch = torch.randn(9, 6, 6, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 4
    one, other = (zc.score(Scaled(scale), batch, "depth,flops,near") for scale in ((6, 6), (1, 6, 6)))
    assert one["depth"] == other["depth"] == 1 and one["flops"] == other["flops"] == 2 * 6**3
