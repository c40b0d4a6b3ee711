from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as sklearn_digits
from torch.nn.functional import normalize, pad

from zerocost.base.errors import InputError
from zerocost.data.hard_digits import NOISE, hard_digits, load_hard_digits


def test_each_digit_is_in_one_part_and_each_part_has_every_class():
    parts = hard_digits()
    assert [tuple(part.images.shape) for part in parts] == [(150, 3, 8, 8), (647, 3, 8, 8), (1000, 3, 8, 8)]
    labels = torch.cat([part.targets for part in parts])
    assert labels.bincount().tolist() == np.bincount(sklearn_digits().target).tolist()
    assert all(len(part.targets.unique()) == 10 for part in parts)


def test_what_is_trained_on_is_standardised_and_its_channels_are_equal():
    images = hard_digits().train.images
    assert images.dtype == torch.float32
    assert images.mean().item() == pytest.approx(0, abs=1e-4)
    assert images.std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert torch.equal(images[:, 0], images[:, 2])


def test_an_image_is_a_digit_of_its_class_shifted_by_a_pixel_at_most_and_noisy():
    original = sklearn_digits()
    padded = pad(torch.tensor(original.images, dtype=torch.float32) / 16, [1] * 4)
    shifted = torch.stack([padded[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)], 1).reshape(-1, 64)
    train = hard_digits().train
    # An image is a digit plus noise up to scale and offset, so the digit is what it correlates with best.
    a, b = (normalize(v - v.mean(1, keepdim=True)) for v in (train.images[:, 0].reshape(-1, 64), shifted))
    fit, best = (a @ b.T).max(1)
    assert torch.equal(torch.tensor(original.target)[best // 9], train.targets)
    assert set((best % 9).tolist()) == set(range(9))
    spread = shifted[best].std(1)
    expected = spread / (spread**2 + NOISE**2).sqrt()
    assert fit.mean().item() == pytest.approx(expected.mean().item(), abs=0.01)


def test_the_images_never_change():
    train, _, test = hard_digits()
    assert train.targets[:12].tolist() == [6, 6, 6, 2, 5, 6, 6, 2, 2, 1, 1, 9]
    assert test.targets[-12:].tolist() == [9, 8, 4, 2, 2, 3, 9, 6, 2, 2, 9, 3]
    row = [-0.84043, -0.98794, 0.22658, 0.68332, -0.43760, 1.18375, 0.24552, -0.53057]
    assert test.images[-1, 0, 3].tolist() == pytest.approx(row, abs=1e-3)


def test_there_is_no_other_size():
    assert len(load_hard_digits()) == 150
    with pytest.raises(InputError, match="got '16' after the colon; write digits-hard"):
        load_hard_digits("16")
