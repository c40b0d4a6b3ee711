"""Channel saliency where samples and channels lie in unusual places."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc


def grouped(layer, x):
    """The whole batch in one grouped convolution, as where each sample has a kernel of its own."""
    n, c, height, width = x.shape
    weight, bias = layer.weight.expand(n, -1, -1, -1, -1).flatten(0, 1), layer.bias.repeat(n)
    return F.conv2d(x.reshape(1, n * c, height, width), weight, bias, padding=1, groups=n).view(n, -1, height, width)


def frames(layer, x):
    """The samples as the depth of one volume."""
    volume = x.transpose(0, 1)[None]
    return F.conv3d(volume, layer.weight[:, :, None], layer.bias, padding=(0, 1, 1))[0].transpose(0, 1)


class Net(nn.Module):
    def __init__(self, call):
        super().__init__()
        torch.manual_seed(0)
        self.call = call
        self.first, self.layer, self.last = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 4)

    def forward(self, x):
        return self.last(F.relu(self.call(self.layer, F.relu(self.first(x)))).mean((2, 3)))


@pytest.mark.parametrize("samples", [5, 6])  # 6 is also the number of channels
@pytest.mark.parametrize("call", [grouped, frames])
def test_samples_that_share_a_call_have_the_saliency_of_a_call_by_themselves(call, samples):
    data = torch.randn(samples, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(samples) % 4
    expected = zc.score(Net(lambda layer, x: layer(x)), data, "fisher")
    assert zc.score(Net(call), data, "fisher") == pytest.approx(expected, rel=1e-5)


class _Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        return gradient @ weight, gradient.t() @ x, gradient.sum(0)


def perceptron(middle):
    class Perceptron(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.layer, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.last(F.relu(middle(self.layer, F.relu(self.first(x)))))

    torch.manual_seed(0)
    data = torch.randn(5, 6, generator=torch.Generator().manual_seed(1)), torch.arange(5) % 3
    return zc.score(Perceptron(), data, "fisher")


def test_a_layer_inside_a_function_with_its_own_backward_is_a_named_failure():
    found = perceptron(lambda layer, x: _Own.apply(x, layer.weight, layer.bias))
    assert "inside the forward of a torch.autograd.Function" in found.failures["fisher"]


def test_a_layer_that_the_network_itself_runs_without_gradients_has_no_saliency():
    def without(layer, x):
        with torch.no_grad():
            return layer(x)

    assert not perceptron(without).failures
