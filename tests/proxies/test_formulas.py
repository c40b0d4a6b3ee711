"""Each formula on signals small enough to compute by hand, and what must hold for any signals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zerocost.engine.signals import ChannelSaliency
from zerocost.errors import Failure
from zerocost.proxies import (
    fisher,
    flops,
    grad_norm,
    grasp,
    jacob_cov,
    l2_norm,
    log_synflow,
    naswot,
    params,
    plain,
    snip,
    synflow,
)

W = [torch.tensor([[1.0, -2.0], [0.0, 3.0]]), torch.tensor([[[4.0]]])]
G = [torch.tensor([[3.0, 4.0], [12.0, 0.0]]), torch.tensor([[[-0.5]]])]


def kernel(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


BY_HAND: dict[Callable[..., Any], list[tuple[tuple[Any, ...], float]]] = {
    grad_norm: [((G,), 13 + 0.5)],
    l2_norm: [((W,), math.sqrt(14) + 4)],
    snip: [((W, G), 3 + 8 + 0 + 0 + 2)],
    plain: [((W, G), 3 - 8 + 0 + 0 - 2)],
    grasp: [((W, G), -(3 - 8 + 0 + 0 - 2))],
    synflow: [(([w.abs() for w in W], [g.abs() for g in G]), 3 + 8 + 0 + 0 + 2)],
    log_synflow: [(([w.abs() for w in W], G), math.log(4) + 2 * math.log(5) + 0 + 0 + 4 * math.log(1.5))],
    fisher: [
        # Two samples, two channels of 9 weights: halves of the mean squares 2.5 and 8; one layer more with 1 weight.
        (
            ([ChannelSaliency(torch.tensor([[1.0, 0.0], [-2.0, 4.0]]), 9), ChannelSaliency(torch.tensor([[6.0]]), 1)],),
            9 * (1.25 + 4) + 18,
        )
    ],
    jacob_cov: [
        # Uncorrelated rows: both eigenvalues are 1. Equal rows: 2 and 0. Correlation 1/2: 1.5 and 0.5.
        ((torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 5.0, -5.0]]),), -2 * (math.log(1 + 1e-5) + 1 / (1 + 1e-5))),
        ((torch.tensor([[1.0, 2.0], [1.0, 2.0]]),), -(math.log(2 + 1e-5) + 1 / (2 + 1e-5) + math.log(1e-5) + 1e5)),
        (
            (torch.tensor([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]),),
            -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in (0.5, 1.5)),
        ),
    ],
    naswot: [
        ((kernel([[2, 1], [1, 2]]),), math.log(3)),
        ((kernel([[4, 0, 0], [0, 4, 0], [0, 0, 4]]),), 3 * math.log(4)),
    ],
    params: [((7,), 7)],
    flops: [((11,), 11)],
}


@pytest.mark.parametrize("formula", BY_HAND, ids=lambda formula: formula.__name__)
def test_by_hand(formula: Callable[..., Any]) -> None:
    for signals, expected in BY_HAND[formula]:
        assert float(formula(*signals)) == pytest.approx(expected, rel=1e-6)


def test_sums_are_accumulated_in_float64() -> None:
    ones, small = torch.ones(1), torch.full((1,), 2.0**-30)
    assert snip([ones, small], [ones, ones]).item() == 1 + 2.0**-30
    assert plain([ones, small], [ones, ones]).item() == 1 + 2.0**-30


def test_naswot_of_twins_names_them() -> None:
    with pytest.raises(Failure, match="samples 0 and 2 of the batch have the same sign at every activation"):
        naswot(kernel([[3, 1, 3], [1, 3, 1], [3, 1, 3]]))
    # Four codes of two units: +1 and -1 in all combinations, K = X·Xᵀ/2 + 1 has rank 3 and no two samples are equal.
    with pytest.raises(Failure, match="too few activations tell the samples apart"):
        naswot(kernel([[2, 1, 1, 0], [1, 2, 0, 1], [1, 0, 2, 1], [0, 1, 1, 2]]))


def test_jacob_cov_without_a_path_says_so() -> None:
    with pytest.raises(Failure, match="no path from input to output"):
        jacob_cov(torch.zeros(3, 5))
    with pytest.raises(Failure, match="do not depend on 1 of the 3 samples"):
        jacob_cov(torch.tensor([[1.0, 2.0], [0.0, 0.0], [2.0, 1.0]]))


# ---- What holds for any signals. Sizes and a seed are drawn; the numbers come from the seed.

any_numbers = settings(deadline=None, max_examples=50)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 6)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def permutation(seed: int, size: int) -> Tensor:
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


@any_numbers
@given(seeds, sizes, sizes)
def test_sums_over_weights_do_not_depend_on_their_order(seed: int, rows: int, columns: int) -> None:
    w, g = normal(seed, rows * columns), normal(seed + 1, rows * columns)
    order = permutation(seed, rows * columns)
    split = rows
    for formula in (snip, plain, grasp, synflow, log_synflow):
        expected = float(formula([w[:split], w[split:]], [g[:split], g[split:]]))
        assert float(formula([w[order].reshape(rows, columns)], [g[order].reshape(rows, columns)])) == pytest.approx(
            expected, rel=1e-9, abs=1e-12
        )
    assert float(grad_norm([g[order]])) == pytest.approx(float(grad_norm([g])), rel=1e-12)
    assert float(l2_norm([w[order]])) == pytest.approx(float(l2_norm([w])), rel=1e-12)


@any_numbers
@given(seeds, sizes)
def test_plain_is_bounded_by_snip_and_snip_by_norms(seed: int, size: int) -> None:
    w, g = [normal(seed, size, size)], [normal(seed + 1, size, size)]
    assert abs(float(plain(w, g))) <= float(snip(w, g)) * (1 + 1e-12)
    assert float(snip(w, g)) <= float(l2_norm(w)) * float(grad_norm(g)) * (1 + 1e-12)
    assert float(snip(w, [g[0] * w[0].sign() * g[0].sign()])) == pytest.approx(float(snip(w, g)))
    assert float(plain(w, [g[0].abs() * w[0].sign()])) == pytest.approx(float(snip(w, g)))


@any_numbers
@given(seeds, sizes, st.floats(0.01, 100))
def test_scaling_the_gradients_scales_the_score(seed: int, size: int, factor: float) -> None:
    w, g = [normal(seed, size, 3), normal(seed + 2, 2)], [normal(seed + 1, size, 3), normal(seed + 3, 2)]
    larger = [factor * t for t in g]
    assert float(grad_norm(larger)) == pytest.approx(factor * float(grad_norm(g)))
    assert float(l2_norm([factor * t for t in w])) == pytest.approx(factor * float(l2_norm(w)))
    for formula in (snip, plain, grasp, synflow):
        assert float(formula(w, larger)) == pytest.approx(factor * float(formula(w, g)), rel=1e-9, abs=1e-12)
    a = normal(seed, size, 4)
    assert float(fisher([ChannelSaliency(factor * a, 2)])) == pytest.approx(
        factor**2 * float(fisher([ChannelSaliency(a, 2)]))
    )


@any_numbers
@given(seeds, sizes)
def test_scores_add_up_over_layers(seed: int, size: int) -> None:
    w, g = [normal(seed + i, size, 2) for i in range(3)], [normal(seed + 9 + i, size, 2) for i in range(3)]
    for formula in (snip, plain, grasp, synflow, log_synflow):
        alone = sum(float(formula([a], [b])) for a, b in zip(w, g, strict=True))
        assert float(formula(w, g)) == pytest.approx(alone, rel=1e-9, abs=1e-12)
    assert float(grad_norm(g)) == pytest.approx(sum(float(t.norm()) for t in g))
    layers = [ChannelSaliency(t, index + 1) for index, t in enumerate(w)]
    assert float(fisher(layers)) == pytest.approx(sum(float(fisher([layer])) for layer in layers))


@any_numbers
@given(seeds, sizes)
def test_log_synflow_is_at_most_synflow_and_grows_with_the_gradient(seed: int, size: int) -> None:
    w, g = [normal(seed, size, size).abs()], [normal(seed + 1, size, size).abs()]
    assert 0 <= float(log_synflow(w, g)) <= float(synflow(w, g))
    assert float(log_synflow(w, g)) < float(log_synflow(w, [2 * g[0]]))
    assert float(log_synflow(w, [1e300 * g[0]])) < 1e3 * size**2 * float(w[0].max())


def codes_kernel(codes: Tensor) -> Tensor:
    on = codes.double()
    return on @ on.T + (1 - on) @ (1 - on).T


@any_numbers
@given(seeds, sizes)
def test_naswot_does_not_depend_on_the_order_of_samples_or_on_which_sign_is_on(seed: int, samples: int) -> None:
    codes = normal(seed, samples, 40) > 0
    expected = float(naswot(codes_kernel(codes)))
    assert expected == pytest.approx(float(codes_kernel(codes).logdet()), rel=1e-9)
    order = permutation(seed, samples)
    assert float(naswot(codes_kernel(codes[order]))) == pytest.approx(expected, rel=1e-9)
    assert float(naswot(codes_kernel(~codes))) == pytest.approx(expected, rel=1e-9)
    assert expected <= samples * math.log(40) + 1e-9  # Hadamard's bound, reached by samples that share nothing


@any_numbers
@given(seeds, sizes, st.floats(1e-3, 1e3), st.floats(-10, 10))
def test_jacob_cov_sees_correlations_alone(seed: int, samples: int, factor: float, shift: float) -> None:
    rows = normal(seed, samples, 12)
    expected = float(jacob_cov(rows))
    scales = normal(seed + 1, samples, 1).abs() + 0.1
    assert float(jacob_cov(factor * rows)) == pytest.approx(expected, rel=1e-6)
    assert float(jacob_cov(scales * rows + shift)) == pytest.approx(expected, rel=1e-6)
    assert float(jacob_cov(rows[permutation(seed, samples)])) == pytest.approx(expected, rel=1e-6)
    assert float(jacob_cov(rows[:, permutation(seed, 12)])) == pytest.approx(expected, rel=1e-6)


@any_numbers
@given(seeds, st.integers(2, 5))
def test_jacob_cov_is_highest_where_samples_are_told_apart(seed: int, samples: int) -> None:
    apart = float(jacob_cov(torch.eye(2 * samples)[::2] - torch.eye(2 * samples)[1::2]))
    assert apart == pytest.approx(-samples * (math.log(1 + 1e-5) + 1 / (1 + 1e-5)))
    row = normal(seed, 1, 12)
    assert float(jacob_cov(normal(seed + 1, samples, 12))) <= apart + 1e-4 * samples
    assert float(jacob_cov(row.expand(samples, -1))) < -9e4


@any_numbers
@given(seeds, st.integers(1, 5), st.integers(1, 4), st.integers(1, 30))
def test_fisher_does_not_depend_on_the_order_of_samples_or_channels(
    seed: int, samples: int, channels: int, fan_in: int
) -> None:
    values = normal(seed, samples, channels)
    expected = float(fisher([ChannelSaliency(values, fan_in)]))
    shuffled = values[permutation(seed, samples)][:, permutation(seed + 1, channels)]
    assert float(fisher([ChannelSaliency(shuffled, fan_in)])) == pytest.approx(expected)
    assert float(fisher([ChannelSaliency(values.repeat(2, 1), fan_in)])) == pytest.approx(expected)
    assert expected == pytest.approx(fan_in * float(fisher([ChannelSaliency(values, 1)])))
