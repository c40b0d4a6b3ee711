from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerocost.engine import rows
from zerocost.engine.rows import row_correlation, sign_agreement, sum_positions


def numbered(*shape):
    return torch.arange(torch.Size(shape).numel()).reshape(shape)


@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 50), st.integers(0, 9))
def test_agreement_counts_equal_columns(samples, units, block, seed):
    code = torch.rand(samples, units, generator=torch.Generator().manual_seed(seed)) < 0.5
    expected = (code[:, None] == code[None]).sum(2).double()
    whole = rows.BLOCK
    try:
        rows.BLOCK = block
        assert torch.equal(sign_agreement(code), expected)
    finally:
        rows.BLOCK = whole


def test_sums_are_taken_in_float32_or_wider():
    halves = torch.full((1, 100_000, 2), 1.0, dtype=torch.float16)
    assert torch.equal(sum_positions(halves), torch.full((1, 2), 1e5))
    assert sum_positions(torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float64


@given(st.integers(2, 5), st.integers(2, 30), st.integers(1, 20), st.integers(0, 9))
def test_correlations_of_rows_are_numpys(samples, units, block, seed):
    values = torch.randn(samples, units, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    whole = rows.BLOCK
    try:
        rows.BLOCK = block
        assert np.allclose(row_correlation(values).numpy(), np.corrcoef(values.numpy()), atol=1e-10)
    finally:
        rows.BLOCK = whole


def test_a_constant_row_correlates_with_none():
    assert row_correlation(torch.tensor([[1.0, 2.0], [3.0, 3.0]])) is None
