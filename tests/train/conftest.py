"""Data and networks small enough to be trained in a tenth of a second."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset


def make_data(count: int = 96, seed: int = 0) -> TensorDataset:
    inputs = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(inputs, (inputs[:, 0] + inputs[:, 1] > 0).long())


@pytest.fixture
def data() -> TensorDataset:
    return make_data()


@pytest.fixture
def validation() -> TensorDataset:
    return make_data(40, seed=1)


def _build() -> nn.Module:
    """Normalisation, whose buffers, and dropout, whose draws, a resume has to carry over."""
    return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 2))


@pytest.fixture
def build() -> Callable[[], nn.Module]:
    return _build
