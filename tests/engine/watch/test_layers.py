from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from zerocost.engine.passes.batch import cross_entropy
from zerocost.engine.plan import plan
from zerocost.engine.rows import agreement
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
        assert torch.equal(layer.kernel, agreement((output > 0).flatten(1)))


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
    assert torch.equal(found[0].kernel, agreement(once > 0) + agreement(again > 0))


def test_a_weight_that_is_computed_belongs_to_no_matrix():
    torch.manual_seed(0)
    model = nn.Sequential(weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 3))
    found = kernels(model, batch(4))
    names = [name for name, p in model.named_parameters() if p.ndim > 1]
    assert [layer.weight for layer in found] == [None, names.index("2.weight")]


def test_no_layer_is_a_failure(watched):
    assert "no convolution or linear layer" in str(watched("layer_kernels", nn.ReLU(), torch.rand(4, 5)))
    assert len(watched("layer_kernels", nn.Linear(5, 2), torch.rand(4, 5))) == 1
