from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import zerocost as zc


def kept(model: nn.Module, inputs: Tensor) -> float:
    """Bytes that are kept of one sample."""
    card = zc.score(model, inputs, "training_memory,training_memory(batch=3)")
    return (card["training_memory(batch=3)"] - card["training_memory"]) / 2


def test_what_autograd_keeps_of_one_sample_counts_once_for_each_of_a_batch() -> None:
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3), nn.Softmax(1))
    parameters, activations = 5 * 7 + 7 + 7 * 3 + 3, 5 + 7 + 3
    assert kept(model, torch.rand(2, 5)) == 4 * activations
    assert zc.score(model, torch.rand(2, 5), "training_memory")["training_memory"] == 16 * parameters + 4 * activations


def test_normalisation_is_given_two_samples() -> None:
    model = nn.Sequential(nn.Linear(5, 7, bias=False), nn.BatchNorm1d(7))
    assert kept(model, torch.rand(1, 5)) == 4 * (5 + 7 + 2 * 7 / 2)


class LooksAtValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) if float(x.sum()) > -1e9 else x


def test_a_network_that_looks_at_values_runs_for_real() -> None:
    assert kept(LooksAtValues(), torch.rand(3, 4)) == pytest.approx(4 * 4)
