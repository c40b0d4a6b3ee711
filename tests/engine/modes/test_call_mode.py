"""Networks that change in their forward whether gradients are computed, where their tensors are made, or a default."""

import pytest
import torch
from torch import nn

import zerocost as zc

PROXIES = "snip,grad_norm,synflow,naswot,swap,zen,near,flops,depth,jacob_cov,grasp"


class _Plain(nn.Module):
    def __init__(self, change=lambda net, x: x):
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.head, self.change = nn.Linear(6, 24), nn.Linear(24, 4), change

    def forward(self, x):
        return self.head(self.change(self, torch.relu(self.hidden(x))))


def _in_inference_mode(net, x):
    with torch.inference_mode():
        torch.relu(x + 1)
        net.seen = x.sum()
    return x


def _freezes(net, x):
    net.hidden.requires_grad_(False)
    net.head.weight.requires_grad = False
    return net.hidden(torch.relu(x[:, :6])) * 0 + x


def _listens(_, x):
    x.register_hook(lambda gradient: None).remove()
    x.retain_grad()
    return x


def _changes_the_dtype(_, x):
    torch.set_default_dtype(torch.float64)
    return x


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (_in_inference_mode, "snip,synflow,flops,depth,jacob_cov"),
        (_freezes, "snip,grad_norm,jacob_cov,grasp"),
        (_listens, PROXIES),
        (_changes_the_dtype, PROXIES),
    ],
)
def test_what_a_network_does_beside_computing_changes_no_score(change, same):
    batch = torch.randn(8, 6, generator=torch.Generator().manual_seed(1)), torch.arange(8) % 4
    expected, card = zc.score(_Plain(), batch, same), zc.score(_Plain(change), batch, PROXIES)
    assert not card.failures
    assert {name: card[name] for name in expected} == pytest.approx(dict(expected), rel=1e-6)
