from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import zerocost as zc
from zerocost.engine.modes.twice import TwiceMode


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def words(*shape):
    return torch.randint(0, 6, shape, generator=torch.Generator().manual_seed(2))


def flash(query, key, value):
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return F.scaled_dot_product_attention(query, key, value)


def weighted_bag(weight, share):
    return F.embedding_bag(words(8), weight, torch.tensor([0, 3, 5]), mode="sum", per_sample_weights=share)


FUNCTIONS = {
    "hardsigmoid": (lambda x: F.hardsigmoid(2 * x), [(3, 4)]),
    "hardsigmoid in place": (lambda x: F.hardsigmoid(2 * x, inplace=True), [(3, 4)]),
    "flash attention": (flash, [(2, 2, 5, 4)] * 3),
    "cdist": (torch.cdist, [(4, 3), (5, 3)]),
    "cdist of order 1": (lambda a, b: torch.cdist(a, b, p=1.0), [(4, 3), (5, 3)]),
    "pdist": (F.pdist, [(4, 3)]),
    "bag": (lambda w: F.embedding_bag(words(3, 5), w), [(6, 4)]),
    "bag of sums": (lambda w: F.embedding_bag(words(3, 5), w, mode="sum", padding_idx=2), [(6, 4)]),
    "bag of maxima": (lambda w: F.embedding_bag(words(3, 5), w, mode="max"), [(6, 4)]),
    "bag by offsets": (lambda w: F.embedding_bag(words(8), w, torch.tensor([0, 3, 3, 5])), [(6, 4)]),
    "bag with its end": (
        lambda w: F.embedding_bag(words(8), w, torch.tensor([0, 3, 8]), include_last_offset=True, padding_idx=1),
        [(6, 4)],
    ),
    "weighted bag": (weighted_bag, [(6, 4), (8,)]),
    "multi-margin loss": (lambda x: F.multi_margin_loss(x, torch.arange(4) % 3), [(4, 3)]),
    "squared margins": (
        lambda x: F.multi_margin_loss(x, torch.arange(4) % 3, p=2, margin=0.5, weight=x.new_ones(3) * 2),
        [(4, 3)],
    ),
}


@pytest.mark.parametrize(("function", "shapes"), FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_second_derivatives_are_those_of_finite_differences(function, shapes):
    inputs = [numbers(*shape, seed=seed) for seed, shape in enumerate(shapes)]

    def squared(*values):
        with TwiceMode():
            return (function(*values) + 0.5).pow(2).sum()

    assert torch.autograd.gradcheck(squared, inputs)
    assert torch.autograd.gradgradcheck(squared, inputs)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "flash attention"])
def test_values_and_first_derivatives_stay_torchs_own(name):
    function, shapes = FUNCTIONS[name]
    inputs = [numbers(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    value = function(*inputs)
    with TwiceMode():
        same = function(*inputs)
    assert torch.equal(value, same)
    for one, other in zip(*(torch.autograd.grad(v.pow(2).sum(), inputs) for v in (value, same)), strict=True):
        assert torch.equal(one, other)


def test_grasp_of_a_bag_of_words_is_that_of_its_mean():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Embedding(6, 4).weight

        def forward(self, x):
            return self.weight[x].mean(1)

    batch, values = (words(8, 5), torch.arange(8) % 3), []
    for layer in (Mean, lambda: nn.EmbeddingBag(6, 4), lambda: nn.EmbeddingBag(6, 4, sparse=True)):
        torch.manual_seed(0)
        values.append(zc.score(nn.Sequential(layer(), nn.Tanh(), nn.Linear(4, 3)), batch, "grasp,snip"))
    assert not any(card.failures for card in values)
    assert dict(values[1]) == pytest.approx(dict(values[0]), rel=1e-5)
    assert dict(values[2]) == pytest.approx(dict(values[0]), rel=1e-5)
