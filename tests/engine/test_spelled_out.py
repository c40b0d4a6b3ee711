from __future__ import annotations

import pytest
import torch

from zerocost.engine.spelled_out import spelled_out


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


CALLS = [
    (torch.linalg.multi_dot, ([random(5, 4), random(4, 3), random(3, 6)],), {}),
    (torch.linalg.multi_dot, ([random(4), random(4, 3), random(3)],), {}),
    (torch.addbmm, (random(3), random(4, 5, 2), random(4, 2, 3)), {"beta": 0.5, "alpha": 2}),
    (torch.Tensor.addbmm, (random(5, 3), random(1, 5, 2), random(1, 2, 3)), {}),
    (torch.linalg.vecdot, (random(5, 1, 3), random(4, 3)), {}),
    (torch.linalg.vecdot, (random(3, 5) + 1j, random(3, 5) - 2j), {"dim": 0}),
    (torch.einsum, ("ni,hi,oh->no", random(5, 2), random(3, 2), random(4, 3)), {}),
    (torch.einsum, ("ab, cd, bc -> ", [random(2, 3), random(4, 5), random(3, 4)]), {}),
    (torch.einsum, ("nii,nj,nj,k->kn", random(3, 2, 2), random(3, 4), random(3, 4), random(2)), {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_the_products_of_two_give_what_the_call_gives(function, args, kwargs):
    found = spelled_out(function, args, kwargs)(*args, **kwargs)
    expected = function(*args, **kwargs)
    assert found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (torch.einsum, ("ij,kj->ik", random(2, 3), random(4, 3)), {}),
        (torch.einsum, ("...j,kj,k->...", random(2, 3), random(4, 3), random(4)), {}),
        (torch.einsum, ("ij,kj,k", random(2, 3), random(4, 3), random(4)), {}),
        (torch.linalg.vecdot, (random(3), random(3)), {"out": random()}),
        (torch.matmul, (random(2, 3), random(3)), {}),
    ],
)
def test_other_calls_are_left_to_torch(function, args, kwargs):
    assert spelled_out(function, args, kwargs) is None
