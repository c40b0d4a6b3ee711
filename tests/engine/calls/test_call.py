from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.engine.calls.call import as_call

LAYERS = "depth,near,t_cet,naswot_conv,lnwot,fisher,zen,az_expressivity,zico_bc"
BATCH = torch.randn(8, 6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64), torch.arange(8) % 3


class Product(nn.Module):
    """A linear layer whose product is a function of input and weight."""

    def __init__(self, given, returned, product, bias):
        super().__init__()
        layer = nn.Linear(given, returned, bias=bias)
        self.weight, self.bias, self.product = layer.weight, layer.bias, product

    def forward(self, x):
        found = self.product(x, self.weight)
        return found if self.bias is None else found + self.bias


def net(layer):
    torch.manual_seed(0)
    layers = [layer(5, 16), nn.GELU(), layer(16, 8), nn.ReLU(), layer(8, 8), nn.ReLU(), nn.Flatten(), layer(48, 3)]
    return nn.Sequential(*layers).double()


PRODUCTS = {
    "@": lambda x, w: x @ w.T,
    "matmul": lambda x, w: torch.matmul(x, w.t()),
    "einsum": lambda x, w: torch.einsum("...i,oi->...o", x, w),
    "einsum, weight first": lambda x, w: torch.einsum("oi,...i->...o", w, x),
    "tensordot": lambda x, w: torch.tensordot(x, w, dims=([-1], [1])),
    "tensordot of one axis": lambda x, w: torch.tensordot(x, w.T, 1),
    "linear": F.linear,
    "from the left": lambda x, w: (w @ x.mT).mT,
}


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS.keys())
def test_a_product_with_a_weight_matrix_is_a_linear_layer(product):
    expected = zc.score(net(lambda a, b: nn.Linear(a, b, bias=False)), BATCH, LAYERS).scores
    assert expected["depth"] == 4 and len(expected) == 9
    assert zc.score(net(lambda a, b: Product(a, b, product, False)), BATCH, LAYERS).scores == pytest.approx(expected)


@pytest.mark.parametrize("name", ["@", "einsum", "linear"])
def test_a_bias_that_is_added_to_it_is_the_layers(name):
    expected = zc.score(net(nn.Linear), BATCH, LAYERS).scores
    found = zc.score(net(lambda a, b: Product(a, b, PRODUCTS[name], True)), BATCH, LAYERS).scores
    assert found == pytest.approx(expected)


def test_addmm_of_a_transposed_weight_is_the_layer_of_that_weight():
    class Added(nn.Linear):
        def forward(self, x):
            return torch.addmm(self.bias, x, self.weight.t())

    def score(kind):
        torch.manual_seed(0)
        return zc.score(nn.Sequential(kind(5, 9), nn.ReLU(), kind(9, 3)).double(), (BATCH[0][:, 0], BATCH[1]), LAYERS)

    assert score(Added).scores == pytest.approx(score(nn.Linear).scores) and "t_cet" in score(Added)


@pytest.mark.parametrize(
    "back",
    [lambda x, w: F.linear(x, w.t()), lambda x, w: F.linear(x, w.t().contiguous())],
    ids=["a view", "a copy"],
)
def test_linear_with_the_transpose_of_a_tied_weight_is_a_product_with_the_weight(back):
    class Tied(nn.Module):
        def __init__(self, back):
            super().__init__()
            torch.manual_seed(0)
            self.back, self.layer, self.head = back, nn.Linear(5, 9, bias=False), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(torch.relu(self.back(torch.relu(self.layer(x)), self.layer.weight)))

    batch = BATCH[0][:, 0].float(), BATCH[1]
    one, other = (zc.score(Tied(way), batch, LAYERS) for way in (back, torch.matmul))
    assert one.scores == pytest.approx(other.scores) and "t_cet" in one


HEADS = {
    "einsum": (
        lambda x, w: torch.einsum("btd,hkd->bthk", x, w.view(2, 4, 8)).flatten(2),
        lambda x, w: torch.einsum("bthk,dhk->btd", x.unflatten(-1, (2, 4)), w.view(8, 2, 4)),
    ),
    "einsum, heads before tokens": (
        lambda x, w: torch.einsum("btd,hkd->bhtk", x, w.view(2, 4, 8)).transpose(1, 2).flatten(2),
        lambda x, w: torch.einsum("dhk,bhtk->btd", w.view(8, 2, 4), x.unflatten(-1, (2, 4)).transpose(1, 2)),
    ),
    "tensordot": (
        lambda x, w: torch.tensordot(x, w.view(2, 4, 8), dims=([2], [2])).flatten(2),
        lambda x, w: torch.tensordot(x.unflatten(-1, (2, 4)), w.view(8, 2, 4), dims=([2, 3], [1, 2])),
    ),
    "tensordot, weight first": (
        lambda x, w: torch.tensordot(w.view(2, 4, 8), x, dims=([2], [2])).permute(2, 3, 0, 1).flatten(2),
        lambda x, w: torch.tensordot(w.view(8, 2, 4), x.unflatten(-1, (2, 4)), dims=([1, 2], [2, 3])).movedim(0, -1),
    ),
}


@pytest.mark.parametrize("ways", HEADS.values(), ids=HEADS.keys())
def test_a_product_with_a_weight_of_heads_is_a_linear_layer(ways):
    class Net(nn.Module):
        def __init__(self, split, joined):
            super().__init__()
            torch.manual_seed(0)
            self.split, self.joined = split, joined
            self.query, self.out, self.head = (nn.Linear(8, n, bias=False) for n in (8, 8, 3))

        def forward(self, x):
            x = torch.relu(self.split(x, self.query.weight))
            return self.head(torch.relu(self.joined(x, self.out.weight)).mean(1))

    batch = torch.randn(6, 5, 8, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 3
    one, other = (zc.score(Net(*way), batch, LAYERS) for way in (ways, (F.linear, F.linear)))
    assert "channels are not told apart" in one.failures["fisher"]
    names = ("depth", "lnwot", "naswot_conv", "t_cet", "zico_bc")
    assert [one[name] for name in names] == pytest.approx([other[name] for name in names])


@pytest.mark.parametrize("name", ["@", "einsum", "tensordot", "from the left"])
def test_a_weight_with_an_adapter_added_is_a_linear_layer(name):
    class Adapted(Product):
        def forward(self, x):
            return self.product(x, self.weight + torch.ones(len(self.weight), 1).double() @ self.weight[:1])

    def score(product):
        return zc.score(net(lambda a, b: Adapted(a, b, product, False)), BATCH, LAYERS).scores

    assert score(PRODUCTS[name]) == pytest.approx(score(F.linear))


def test_a_product_with_what_is_no_weight_is_no_layer():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(5, 3)
            self.register_buffer("neighbours", torch.rand(6, 6))

        def forward(self, x):
            return (self.neighbours @ self.layer(x) @ self.layer(x).mT).mean(1)

    assert zc.score(Graph(), BATCH[0].float(), "depth")["depth"] == 1


def test_calls_are_known_by_what_they_compute():
    x, mask, weight = torch.ones(4, 3), torch.ones(4, 3) > 0, torch.ones(3, 3)
    assert as_call(torch.Tensor.__setitem__, "setitem", (x, mask, 0.0), {}).name == "masked_fill"
    assert as_call(torch.Tensor.__setitem__, "setitem", (x, 0, 0.0), {}).name == "setitem"
    assert as_call(torch.einsum, "einsum", ("ij,ij->ij", x, x), {}).name == "mul"
    assert as_call(torch.einsum, "einsum", ("ij,kj->ik", x, weight), {}).name == "einsum"
    assert as_call(torch.einsum, "einsum", ("ij,kj->ki", x, weight), {}, {id(weight)}).channel_axis == -2
    assert as_call(torch.einsum, "einsum", ("ij,jk->ij", x, weight), {}, {id(weight)}).name == "einsum"
    assert as_call(torch.mm, "mm", (weight, x.T), {}, {id(weight)}).channel_axis == -2
    assert as_call(F.linear, "linear", (x, weight), {}).channel_axis == -1
