"""The constant pass, and `epsinas` on what it delivers, as the authors compute it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import zerocost as zc

IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def residual() -> nn.Module:
    class Residual(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = x + super().forward(x)
            return y

    torch.manual_seed(0)
    block = Residual(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
    return nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))


def outputs_with(model: nn.Module, value: float) -> np.ndarray:
    """Outputs of a copy in train mode with weights filled, as numpy."""
    filled = copy.deepcopy(model).train()
    for module in filled.modules():
        if getattr(module, "weight", None) is not None:
            nn.init.constant_(module.weight, value)
        if getattr(module, "bias", None) is not None:
            nn.init.constant_(module.bias, 0)
    return filled.double()(IMAGES.double()).detach().numpy()


def test_epsinas_is_that_of_the_authors() -> None:
    model = residual()
    scaled = []
    for value in (1e-7, 1.0):
        flat = outputs_with(model, value).flatten()
        flat = (flat - flat.min()) / (flat.max() - flat.min())
        flat[flat == 0] = np.nan
        scaled.append(flat)
    expected = np.nanmean(np.abs(scaled[0] - scaled[1])) / np.nanmean(scaled)
    card = zc.score(model, IMAGES, "epsinas")
    assert card["epsinas"] == pytest.approx(expected, rel=1e-6)
    assert expected > 0.001


def test_other_parameters_stay_and_the_weights_given_do_not_matter() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factors = nn.Parameter(torch.rand(5))
            self.linear = nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.linear((x * self.factors).relu())
            return y

    rows = torch.randn(4, 5)
    model = Scaled()
    first = zc.score(model, rows, "epsinas")["epsinas"]
    nn.init.normal_(model.linear.weight)
    assert zc.score(model, rows, "epsinas")["epsinas"] == first
    assert first == 0


def test_outputs_that_overflow_or_are_equal_are_named_failures() -> None:
    wide = nn.Sequential(nn.Flatten(), *[nn.Linear(192, 192) for _ in range(140)])
    failed = zc.score(wide, IMAGES, "epsinas").failures["epsinas"]
    assert "the outputs are not finite where all weights are equal" in failed
    same = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.LayerNorm(4))
    assert "all outputs are equal" in zc.score(same, IMAGES, "epsinas").failures["epsinas"]
