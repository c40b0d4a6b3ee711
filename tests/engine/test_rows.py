from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerocost.base.errors import Failure
from zerocost.engine import rows
from zerocost.engine.rows import row_correlation, samples_first, sign_agreement, sum_positions


def numbered(*shape):
    return torch.arange(torch.Size(shape).numel()).reshape(shape)


def test_samples_first():
    values = numbered(4, 3, 2)
    assert samples_first(values, 4) is values


def test_samples_second_in_a_sequence():
    values = numbered(5, 4, 2)
    assert torch.equal(samples_first(values, 4), values.transpose(0, 1))
    assert torch.equal(samples_first(values, 4, tokens_first=True), values.transpose(0, 1))


def test_windows_merged_into_samples():
    values = numbered(4, 3, 2)
    assert torch.equal(samples_first(values.flatten(0, 1), 4), values)
    windows = numbered(8, 4, 2)  # two windows of four tokens for each of four samples
    assert torch.equal(samples_first(windows, 4), windows.reshape(4, 2, 4, 2))


@pytest.mark.parametrize("shape", [(4, 4, 2), (8, 4, 2), (8, 2)])
def test_a_shape_that_can_be_read_in_two_ways_is_refused_where_tokens_may_come_first(shape):
    with pytest.raises(Failure, match="try another batch size"):
        samples_first(numbered(*shape), 4, tokens_first=True)


@pytest.mark.parametrize("shape", [(), (3,), (3, 5), (0, 4, 5, 6)])
def test_no_axis_for_the_samples(shape):
    with pytest.raises(Failure, match="no axis for the 4 samples"):
        samples_first(numbered(*shape), 4)


@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (3, 1, 2)])
def test_a_single_sample_is_all_of_any_shape(shape):
    found = samples_first(numbered(*shape), 1, tokens_first=True)
    assert len(found) == 1 and found.numel() == numbered(*shape).numel()


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
