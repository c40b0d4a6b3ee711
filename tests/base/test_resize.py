from __future__ import annotations

import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.spaces import resize


def test_resize_keeps_constants_and_averages_detail() -> None:
    constant = torch.full((2, 3, 32, 32), 0.7)
    assert torch.allclose(resize(constant, 16), torch.full((2, 3, 16, 16), 0.7))
    checkers = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * torch.ones(1, 1, 32, 32)
    inner = resize(checkers, 8)[..., 1:-1, 1:-1]
    assert (inner - 0.5).abs().max() < 0.05


def test_resize_makes_squares_of_any_image_and_leaves_its_size_alone() -> None:
    images = torch.rand(1, 1, 20, 30)
    assert resize(images, 24).shape == (1, 1, 24, 24)
    assert resize(images, None) is images
    square = torch.rand(1, 1, 24, 24)
    assert resize(square, 24) is square


@pytest.mark.parametrize("inputs", [torch.rand(4, 16), torch.zeros(1, 3, 8, 8, dtype=torch.long)])
def test_resize_refuses_what_is_no_image(inputs: torch.Tensor) -> None:
    with pytest.raises(InputError, match="leave `resolution` out"):
        resize(inputs, 16)
