"""A network and a batch that take no time to score."""

from __future__ import annotations

import torch
from torch import nn


def batch(n=8):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3


def mlp(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


def fixed():
    torch.manual_seed(0)
    return mlp()
