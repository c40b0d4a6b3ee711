from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import zerocost as zc
from zerocost.engine.losses import cross_entropy
from zerocost.engine.plan import plan
from zerocost.engine.rows import sign_agreement
from zerocost.engine.run import measure
from zerocost.engine.settings import Settings
from zerocost.proxies import resolve

N = 6


def batch(*shape):
    return torch.randn(N, *shape, generator=torch.Generator().manual_seed(0)), torch.arange(N) % 3


def kernels(model, data):
    """The layer kernels as lnwot gets them, in eval mode."""
    found = measure(model, [data], plan(resolve("lnwot")), cross_entropy, 0)
    return found.signals[Settings(mode="eval")]["layer_kernels"]


class Backwards(nn.Module):
    """Runs its layers in the reverse of the order in which they are defined."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.last, self.middle, self.first = nn.Linear(9, 3), nn.Linear(36, 9), nn.Conv2d(3, 4, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.middle(torch.tanh(self.first(x)).flatten(1))))


def test_each_kernel_is_that_of_the_layers_own_outputs_and_names_its_weight():
    model, data = Backwards().eval(), batch(3, 4, 4)
    one = model.first(data[0])
    two = model.middle(torch.tanh(one).flatten(1))
    three = model.last(torch.tanh(two))
    found = kernels(model, data)
    assert [layer.weight for layer in found] == [2, 1, 0]  # the first that runs is the last that is defined
    for layer, output in zip(found, (one, two, three), strict=True):
        assert torch.equal(layer.kernel, sign_agreement((output > 0).flatten(1)))


def test_a_weight_of_a_class_of_its_own_is_the_networks():
    class Own(torch.Tensor):
        pass

    def score(kind):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3))
        for layer in (model[0], model[2]):
            layer.weight = nn.Parameter(layer.weight.data.as_subclass(kind))
        return zc.score(model, batch(8), "t_cet,lnwot,fisher")

    assert dict(score(Own)) == pytest.approx(dict(score(torch.Tensor))) and "t_cet" in score(Own)


def test_a_layer_called_twice_has_one_kernel_the_sum_of_both():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.last(self.layer(torch.tanh(self.layer(x))))

    model, data = Twice(), batch(4)
    once = model.layer(data[0])
    again = model.layer(torch.tanh(once))
    found = kernels(model, data)
    assert [layer.weight for layer in found] == [0, 1]
    assert torch.equal(found[0].kernel, sign_agreement(once > 0) + sign_agreement(again > 0))


class Added(nn.Module):
    """A linear layer on tokens, written as its bias and the product with a matrix in×out."""

    def __init__(self, layer, named):
        super().__init__()
        self.weight, self.bias, self.named = nn.Parameter(layer.weight.detach().T.contiguous()), layer.bias, named

    def forward(self, x):
        rows = x.view(-1, x.shape[-1])
        if self.named:
            return torch.addmm(input=self.bias, mat1=rows, mat2=self.weight).view(*x.shape[:-1], -1)
        return torch.addmm(self.bias, rows, self.weight).view(*x.shape[:-1], -1)


class Attending(nn.Module):
    """Attends, then feeds forward, with linear layers of some make."""

    def __init__(self, make=lambda layer: layer):
        super().__init__()
        torch.manual_seed(0)
        self.qkv, self.wide, self.last = (make(nn.Linear(*sizes)) for sizes in ((8, 24), (8, 16), (16, 3)))

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        mixed = x + (q @ k.mT).softmax(-1) @ v
        return self.last(torch.relu(self.wide(mixed))).mean(1)


@pytest.mark.parametrize("named", [False, True])
def test_a_product_with_a_bias_added_is_a_linear_layer(named):
    proxies = "dss,fisher,lnwot,near,naswot_conv,t_cet,depth,flops,snip,grasp,meco_opt,az_expressivity"
    linear, added = (
        zc.score(Attending(make).double(), batch(5, 8), proxies)
        for make in (lambda layer: layer, lambda layer: Added(layer, named))
    )
    assert not linear.failures
    assert dict(added) == pytest.approx(dict(linear))


def test_a_product_with_a_matrix_added_is_none():
    class Summed(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer, self.mixing = nn.Linear(4, 4), nn.Parameter(torch.eye(4))

        def forward(self, x):
            return torch.addmm(x, self.layer(x), self.mixing)

    assert len(kernels(Summed(), batch(4))) == 1


def test_a_weight_that_is_computed_belongs_to_no_matrix():
    class Bounded(nn.Linear):
        def forward(self, x):
            return nn.functional.linear(x, self.weight.tanh(), self.bias)

    torch.manual_seed(0)
    found = kernels(nn.Sequential(Bounded(4, 5), nn.Tanh(), nn.Linear(5, 3)), batch(4))
    assert [layer.weight for layer in found] == [None, 1]


def test_a_reparametrised_weight_is_a_weight_matrix():
    torch.manual_seed(0)
    found = kernels(nn.Sequential(weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 3)), batch(4))
    assert [layer.weight for layer in found] == [0, 1]


def test_no_layer_is_a_failure(watched):
    assert "no convolution or linear layer" in str(watched("layer_kernels", nn.ReLU(), torch.rand(4, 5)))
    assert len(watched("layer_kernels", nn.Linear(5, 2), torch.rand(4, 5))) == 1
