from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as sklearn_digits

from zerocost.base.errors import InputError
from zerocost.data.digits import load_digits


def test_all_digits_come_in_three_equal_standardised_channels():
    data = load_digits()
    assert data.images.shape == (1797, 3, 32, 32)
    assert data.images.dtype == torch.float32
    assert torch.equal(data.targets, torch.tensor(sklearn_digits().target))
    assert torch.equal(data.images[:, 0], data.images[:, 2])
    assert data.images.mean().item() == pytest.approx(0, abs=1e-4)
    assert data.images.std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_unscaled_digits_are_those_of_scikit_learn_up_to_standardisation():
    original = sklearn_digits().images
    expected = (original - original.mean()) / original.std()
    np.testing.assert_allclose(load_digits("8").images[:, 1], expected, atol=1e-4)


@pytest.mark.parametrize("argument", ["0", "-4", "big", "1.5", "²"])
def test_a_size_that_is_no_positive_number_is_refused(argument):
    with pytest.raises(InputError, match=f"got '{argument}'; write digits:SIZE"):
        load_digits(argument)
