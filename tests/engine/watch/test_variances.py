from __future__ import annotations

import pytest
import torch
from torch import nn


def x():
    return 3 * torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(0)) + 1


def test_each_batch_norm_gives_the_mean_of_its_running_variance_after_the_run(watched):
    model = nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4))
    expected, value = [], x()
    for _ in range(2):
        expected.append(0.9 + 0.1 * value.transpose(0, 1).flatten(1).var(1).mean())
        mean, var = value.mean((0, 2, 3), keepdim=True), value.var((0, 2, 3), keepdim=True, correction=0)
        value = (value - mean) / (var + 1e-5).sqrt()
    found = watched("batch_norm_variances", model, x())
    assert [float(v) for v in found] == pytest.approx([float(v) for v in expected], rel=1e-5)


def test_in_eval_mode_they_are_the_running_ones_as_they_are(watched):
    model = nn.BatchNorm2d(4).eval()
    model.running_var.copy_(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert [float(v) for v in watched("batch_norm_variances", model, x())] == [3.0]


def test_without_running_statistics_they_are_those_of_the_batch(watched):
    model = nn.BatchNorm2d(4, track_running_stats=False)
    expected = x().transpose(0, 1).flatten(1).var(1).mean()
    assert float(watched("batch_norm_variances", model, x())[0]) == pytest.approx(float(expected), rel=1e-5)


def test_a_network_without_batch_norm_has_none(watched):
    assert watched("batch_norm_variances", nn.GroupNorm(2, 4), x()) == []
