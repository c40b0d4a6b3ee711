"""The largest singular value, directly and by iterations."""

from __future__ import annotations

import pytest
import torch
from scipy.sparse.linalg import ArpackNoConvergence

from zerocost.engine.largest import largest_singular_value


def matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (300, 300), (700, 260), (260, 700)])
def test_it_is_the_first_singular_value(shape):
    expected = torch.linalg.svdvals(matrix(*shape).double())[0]
    assert float(largest_singular_value(matrix(*shape))) == pytest.approx(float(expected), rel=1e-12)


def test_close_and_equal_values_converge():
    q, _ = torch.linalg.qr(matrix(300, 300).double())
    for values in (torch.ones(300), 1 - 1e-9 * torch.arange(300), torch.eye(300)[0]):
        found = largest_singular_value(q @ torch.diag(values.double()) @ q.T)
        assert float(found) == pytest.approx(1, rel=1e-9)


def test_zeros_and_what_is_not_finite():
    assert float(largest_singular_value(torch.zeros(300, 300))) == 0
    with pytest.raises(torch.linalg.LinAlgError):
        largest_singular_value(torch.full((300, 300), torch.nan))


def test_iterations_that_do_not_end_give_way_to_the_whole_decomposition(monkeypatch):
    def endless(*_, **__):
        raise ArpackNoConvergence("no convergence", [], [])

    monkeypatch.setattr("scipy.sparse.linalg.eigsh", endless)
    expected = torch.linalg.svdvals(matrix(300, 300).double())[0]
    assert float(largest_singular_value(matrix(300, 300))) == pytest.approx(float(expected), rel=1e-12)


def test_it_is_the_same_each_time():
    found = {float(largest_singular_value(matrix(400, 300))) for _ in range(3)}
    assert len(found) == 1
