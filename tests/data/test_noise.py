from __future__ import annotations

import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.data.noise import load_noise


def test_items_are_standard_normal_independent_and_repeatable():
    data = load_noise()
    assert len(data) == 10_000
    sample = torch.stack([data[index] for index in range(20)])
    assert sample.shape == (20, 3, 32, 32)
    assert sample.dtype == torch.float32
    assert sample.mean().item() == pytest.approx(0, abs=0.02)
    assert sample.std().item() == pytest.approx(1, abs=0.02)
    correlations = sample.flatten(1).corrcoef() - torch.eye(20)
    assert correlations.abs().max() < 0.1
    assert torch.equal(load_noise()[7], data[7])


def test_shape_and_classes_are_read():
    data = load_noise("1x8x4:10")
    image, label = data[25]
    assert image.shape == (1, 8, 4)
    assert label == 5
    assert data.targets.bincount().tolist() == [1000] * 10
    assert load_noise("2x5x5")[0].shape == (2, 5, 5)


def test_it_ends():
    assert sum(1 for _ in load_noise("1x1x1")) == 10_000


@pytest.mark.parametrize(
    "argument", ["3x32", "32", "3x32x32x2", "3x0x4", "axbxc", "3x32x32:0", "3x32x32:ten", ":10", "3×32×32"]
)
def test_another_shape_is_refused(argument):
    with pytest.raises(InputError, match="write noise:CHANNELSxHEIGHTxWIDTH:CLASSES"):
        load_noise(argument)
