"""Each formula on signals small enough to compute by hand, and what must hold for any signals."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.signals import ChannelSaliency, LayerKernel, LayerSize, Response
from zerocost.engine.tape.liveness import MemoryStep
from zerocost.engine.tape.operations import Size
from zerocost.proxies import (
    active_params,
    apd,
    az_expressivity,
    az_progressivity,
    az_trainability,
    depth,
    dss,
    embedding_params,
    epe_nas,
    epsinas,
    fisher,
    flash,
    flash_fp16,
    flash_int8,
    flops,
    global_grad_norm,
    grad_norm,
    gradsign,
    grasp,
    head_confidence,
    jacob_cov,
    knas,
    kv_cache,
    kv_cache_fp16,
    kv_cache_int8,
    l2_norm,
    l_swag,
    layer_count,
    linear_regions,
    lnwot,
    log_synflow,
    meco,
    meco_modules,
    meco_opt,
    names,
    naswot,
    naswot_conv,
    near,
    non_embedding_params,
    ntk_condition,
    ntk_trace,
    params,
    peak_memory,
    peak_memory_fp16,
    peak_memory_int8,
    plain,
    snip,
    snr_snip,
    snr_synflow,
    swap,
    swap_regularised,
    synflow,
    synflow_bn,
    t_cet,
    training_memory,
    vkdnw,
    vkdnw_single,
    w_pca,
    wrcor,
    zen,
    zico,
    zico_bc,
)

W = [torch.tensor([[1.0, -2.0], [0.0, 3.0]]), torch.tensor([[[4.0]]])]
G = [torch.tensor([[3.0, 4.0], [12.0, 0.0]]), torch.tensor([[[-0.5]]])]


def kernel(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def double(*rows: Any) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


TWO = kernel([[2, 1], [1, 2]])  # log det = log 3
TWINS = kernel([[2, 2], [2, 2]])  # singular
ALTERNATING = torch.tensor([[1.0, -1.0, 1.0, -1.0, 0.0], [1.0, 1.0, -1.0, -1.0, 0.0]])  # uncorrelated channels
EQUAL = torch.tensor([[1.0, -1.0, 2.0], [2.0, -2.0, 4.0]])  # correlation 1
HALF = torch.tensor([[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]])  # correlation 1/2
CONSTANT = torch.tensor([[1.0, 1.0, 1.0], [0.0, -1.0, 1.0]])  # a constant channel correlates with none
QUARTERS = [torch.ones(4), torch.tensor([1.0, 0.0, 0.0])]  # entropies log 4 and 0
STEPS = [MemoryStep("a", "addmm", Size(9, 5)), MemoryStep("", "relu", Size(2, 16))]
HALVES = torch.tensor([2.0, 2.0])  # entropy log 2
DECILES = torch.arange(11, dtype=torch.float64).diag()  # eigenvalues 0, 1, …, 10: deciles 1, 2, …, 9
DECILE_ENTROPY = -sum(i / 45 * math.log(i / 45) for i in range(1, 10))

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
    non_embedding_params: [((7,), 7)],
    layer_count: [((5,), 5)],
    active_params: [((7,), 7)],
    embedding_params: [((7, 5), 2)],
    training_memory: [((7, Size(3, 2)), 7 * 16 + 3 * 4 + 2)],
    peak_memory: [((STEPS,), 9 * 4 + 5), (([],), 0)],
    peak_memory_fp16: [((STEPS,), 9 * 2 + 5)],
    peak_memory_int8: [((STEPS,), 2 + 16)],
    flash: [((Size(3, 2),), 3 * 4 + 2)],
    flash_fp16: [((Size(3, 2),), 3 * 2 + 2)],
    flash_int8: [((Size(3, 2),), 3 + 2)],
    kv_cache: [((Fraction(5, 2),), 10)],
    kv_cache_fp16: [((Fraction(5, 2),), 5)],
    kv_cache_int8: [((Fraction(5, 2),), 2.5)],
    depth: [((3,), 3)],
    global_grad_norm: [((G,), math.sqrt(9 + 16 + 144 + 0.25))],
    snr_snip: [
        # Sensitivities 3, 8, 0, 0: sum 11, deviation √(166/12). A layer of one adds itself.
        ((W, G), 11 / math.sqrt((9 + 64 - 121 / 4) / 3) + 2),
        (([torch.ones(1, 2)], [torch.full((1, 2), -3.0)]), 6),
    ],
    snr_synflow: [(([w.abs() for w in W], [g.abs() for g in G]), 11 / math.sqrt((9 + 64 - 121 / 4) / 3) + 2)],
    synflow_bn: [(([w.abs() for w in W], G), 3 + 8 + 0 + 0 + 2)],
    zico: [
        # Gradients 1 and 3 of one weight: mean of absolute values 2, deviation 1. The second weight does not vary.
        (([torch.tensor([[[1.0, 2.0]], [[3.0, 2.0]]])],), math.log(2)),
        # Opposite gradients do not cancel: -1 and 3 have mean 2 and deviation 2. A layer without variance is left out.
        (([torch.tensor([[[-1.0]], [[3.0]]]), torch.ones(2, 3)],), math.log(1)),
        (([torch.tensor([[1.0, 1.0], [3.0, 3.0]]), torch.tensor([[1.0], [2.0]])],), math.log(4) + math.log(3)),
    ],
    zico_bc: [
        (([torch.tensor([[1.0], [3.0]])], [LayerSize(8, 4), LayerSize(1, 16)]), math.log(2) - math.log(4) + math.log(4))
    ],
    epsinas: [(([torch.tensor([0.0, 1.0, 2.0]), torch.tensor([[0.0], [1.0], [4.0]])],), 0.125 / 0.6875)],
    gradsign: [(([torch.tensor([[2.0, -4.0], [0.0, 0.0]]), torch.tensor([6.0])],), (2 + 4 + 0 + 0 + 6) / 5)],
    knas: [(([torch.tensor([[3.0, 4.0]]), torch.tensor([12.0])], torch.arange(2)), 169 / 4)],
    ntk_condition: [((kernel([[2, 1], [1, 2]]),), 3), ((kernel([[4, 0], [0, 0.5]]),), 8)],
    ntk_trace: [((kernel([[2, 1], [1, 6]]),), 2), ((double([9.0]),), 3)],
    linear_regions: [((TWO,), 2), ((TWINS,), 1), ((kernel([[3, 3, 1], [3, 3, 1], [1, 1, 3]]),), 2)],
    swap: [((9,), 9)],
    l_swag: [
        # Sizes 1 and 3 of two weights, whatever their signs: deviations 1 and 1. Patterns 1, 2, 5 of two activations.
        (
            ([torch.tensor([[[1.0, -1.0]], [[-3.0, 3.0]]])], [torch.tensor([[1, 2, 1]]), torch.tensor([[5, 2]])]),
            math.log(2) * 3,
        ),
        # A weight of deviation ½, and a layer without any, which is left out.
        (([torch.tensor([[1.0], [2.0]]), torch.ones(2, 3)], [torch.tensor([[1, 2]])]), math.log(2) * 2),
    ],
    lnwot: [
        (([LayerKernel(0, TWO), LayerKernel(None, TWINS), LayerKernel(1, 2 * TWO)],), 2 * math.log(3) + math.log(4))
    ],
    naswot_conv: [(([LayerKernel(0, TWO), LayerKernel(1, TWINS)],), math.log(16 - 9))],
    t_cet: [
        # Of the layer that a kernel names, saliencies 1 and 2 have sum 3 and deviation √½. One without is left out.
        (
            (
                [LayerKernel(1, TWO), LayerKernel(None, TWO), LayerKernel(0, TWINS)],
                [torch.ones(2, 2), torch.tensor([[1.0, 2.0]])],
                [torch.ones(2, 2), torch.ones(1, 2)],
            ),
            math.log(3) * 3 * math.sqrt(2),
        )
    ],
    meco: [
        (([ALTERNATING],), 1),
        (([EQUAL],), 0),
        (([HALF],), 0.5),
        (([ALTERNATING, HALF, EQUAL],), 1.5),
        (([CONSTANT],), 0),
        (([ALTERNATING, torch.randn(5, 4)],), 1),  # fewer positions than channels and one: adds 0
    ],
    meco_modules: [(([ALTERNATING, ALTERNATING],), 2)],
    meco_opt: [(([ALTERNATING, HALF],), 1.5)],
    near: [
        (([torch.eye(3), torch.diag(torch.tensor([2.0, 2.0, 0.0]))],), 3 + 2),
        (([torch.zeros(2, 2), torch.ones(4, 2)],), 0 + 1),
        (([torch.diag(torch.tensor([3.0, 1.0]))],), math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))),
    ],
    az_expressivity: [((QUARTERS,), math.log(4)), (([HALVES, torch.zeros(3)],), math.log(2))],
    az_progressivity: [((QUARTERS,), -math.log(4)), (([QUARTERS[1], HALVES, QUARTERS[0]],), math.log(2))],
    az_trainability: [
        (([torch.tensor(1.0)],), 1 - 1 / (1 + 1e-6)),
        (([torch.tensor(2.0), torch.tensor(0.5)],), (-1 / (2 + 1e-6) + 1.5 - 1 / (0.5 + 1e-6)) / 2),
    ],
    wrcor: [
        # One activation in block 0: K is the identity twice. Blocks weigh 2 and 4. A missing correlation is left out.
        (([Response(0, torch.eye(2)), Response(0, torch.eye(2))],), 2 * math.log(2)),
        (([Response(1, torch.eye(3)), Response(2, torch.eye(3))],), 3 * math.log(6)),
        (([Response(1, double([1, -0.5], [-0.5, 1])), Response(2, None)],), math.log(4 - 1)),
    ],
    zen: [
        # Changes of 3·1 and 3·2 on two samples; BatchNorm variances 4 and 9.
        (
            (torch.zeros(2, 3), torch.tensor([[1.0], [2.0]]).expand(2, 3), [torch.tensor(4.0), torch.tensor(9.0)]),
            math.log(4.5) + math.log(2) + math.log(3),
        ),
        ((torch.zeros(1, 2, 2), torch.ones(1, 2, 2), []), math.log(4)),
    ],
    epe_nas: [
        # Samples 0 and 1 correlate by -1/2 in class 0: four entries. Sample 2 is alone in class 1: one entry of 1.
        (
            (torch.tensor([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [0.0, 1.0, 2.0]]), torch.tensor([0, 0, 1])),
            abs(2 * math.log(0.5 + 1e-5) + 2 * math.log1p(1e-5)) + math.log1p(1e-5),
        )
    ],
    vkdnw: [((DECILES,), DECILE_ENTROPY), ((torch.eye(20, dtype=torch.float64),), math.log(9))],
    vkdnw_single: [((DECILES, 11), 11 + DECILE_ENTROPY)],
    apd: [
        # Stable ranks 2 and 4/3; of two filters, L1 norms 3 and 4, L2 norms √5 and 4. Linear layers do not count.
        (
            (
                [torch.tensor([2.0, 1.0]).sqrt(), torch.tensor([4.0, 3.0]).sqrt()],
                [torch.tensor([[[1.0, -2.0]], [[4.0, 0.0]]]), torch.ones(5, 5)],
            ),
            (2 + 4 / 3) * 3.5 / ((math.sqrt(5) + 4) / 2),
        )
    ],
    dss: [
        # Nuclear norms 5 and 2 of attention; the linear layer's saliency 3 + 8; the other one is left out.
        (
            (
                [torch.diag(torch.tensor([3.0, -2.0])), W[0], torch.ones(2, 2)],
                [torch.eye(2), G[0], torch.ones(2, 2)],
                ["attention", "linear", "other"],
            ),
            5 * 2 + 11,
        )
    ],
    head_confidence: [
        (([torch.tensor([[[0.5, 0.5], [1.0, 0.0]]]), torch.tensor([[0.25, 0.75]])],), (0.75 + 0.75) / 2),
    ],
    w_pca: [
        (([torch.tensor([1.0, 1.0, 0.0]), torch.tensor([98.0, 1.5, 0.5])], 10), 10 * (2 + 2)),
        (([torch.tensor([1.0, 0.0])], 10), 10),
    ],
}


def test_every_formula_is_computed_by_hand() -> None:
    assert {formula.__name__ for formula in BY_HAND} | {"swap_regularised"} == set(names())


def test_options_of_formulas() -> None:
    assert swap_regularised(8, 900_000, mu=800, sigma=200) == pytest.approx(8 * math.exp(-50))
    assert swap_regularised(8, 700_000, mu=800, sigma=200) == swap_regularised(8, 900_000, mu=800, sigma=200)
    sizes, gradients = [LayerSize(8, 4)], [torch.tensor([[1.0], [3.0]])]
    assert float(zico_bc(gradients, sizes, beta=2)) == pytest.approx(math.log(2) - 2 * math.log(4))
    assert float(zico_bc(gradients, sizes, beta=0)) == float(zico(gradients))
    layers = [torch.tensor([[1.0], [1 + step]]) for step in (0.5, 0.25, 0.125, 0.0625)]
    patterns = [torch.tensor([[1, 2]]), torch.tensor([[2, 3]])]  # bins 2, 5, 7 and 10 of depth, and 5 and 10
    assert float(l_swag(layers, patterns, first=3, last=7)) == pytest.approx((math.log(8) + math.log(16)) * 2)
    assert float(l_swag(layers, patterns, first=8)) == pytest.approx(math.log(32) * 3)
    assert w_pca([torch.tensor([4.0, 1.0, 1.0])], 1, eta=0.5) == 1
    assert w_pca([torch.tensor([4.0, 1.0, 1.0])], 1, eta=0.7) == 2
    many = torch.cat([ALTERNATING] * 3)  # equal channels in threes: one of six, times 6, is 6 for any one
    assert float(meco_opt([many], channels=1)) == pytest.approx(6)
    assert float(meco_opt([many], channels=6)) == pytest.approx(0, abs=1e-9)


@given(st.integers(0, 999))
def test_maps_of_less_rank_than_channels_have_no_least_eigenvalue_but_0(seed):
    generator = torch.Generator().manual_seed(seed)
    found = torch.rand(8, 2, generator=generator) @ torch.randn(2, 60, generator=generator)
    assert meco([found]) == meco_opt([found]) == 0


@pytest.mark.parametrize(
    ("formula", "signals", "reason"),
    [
        (swap_regularised, (8, 100), "needs the wanted size"),
        (non_embedding_params, (0,), "no parameters but embeddings"),
        (depth, (0,), "no convolution or linear layer"),
        (zico, ([torch.ones(2, 3)],), "the same on every batch"),
        (l_swag, ([torch.ones(2, 3)], [torch.ones(1, 1)]), "the same on every batch"),
        (ntk_condition, (TWINS,), "singular"),
        (ntk_trace, (torch.zeros(2, 2),), "no path"),
        (lnwot, ([LayerKernel(0, TWINS)],), "same signs in every layer"),
        (naswot_conv, ([LayerKernel(0, TWINS)],), "samples 0 and 1"),
        (t_cet, ([LayerKernel(0, TWINS)], [torch.ones(1, 2)], [torch.ones(1, 2)]), "same signs in every layer"),
        (t_cet, ([LayerKernel(None, TWO)], [torch.ones(1, 2)], [torch.ones(1, 2)]), "weight matrix of its own"),
        (az_progressivity, ([HALVES],), "fewer than two blocks"),
        (az_trainability, ([torch.tensor(0.0), torch.tensor(1.0)],), "no gradient passes"),
        (wrcor, ([Response(0, None)],), "constant values"),
        (wrcor, ([Response(0, torch.ones(2, 2))],), "singular"),
        (zen, (torch.ones(2, 3), torch.ones(2, 3), []), "do not depend on the input"),
        (zen, (torch.ones(2, 3), torch.ones(2, 4), []), r"\(2, 3\) on the batch and \(2, 4\) a small step away"),
        (zen, (torch.ones(2, 3), torch.zeros(2, 1), []), "make it independent of the input's values, or take another"),
        (epe_nas, (torch.randn(2, 3), torch.zeros(2, 4, dtype=torch.long)), "one class a sample"),
        (epe_nas, (torch.randn(2, 3), torch.zeros(2)), "one class a sample"),
        (epe_nas, (torch.ones(2, 3), torch.arange(2)), "correlates with no other"),
        (vkdnw, (torch.zeros(4, 4, dtype=torch.float64),), "Fisher information is 0"),
        (epsinas, ([torch.tensor([1.0, 1 + 1e-13], dtype=torch.float64), torch.arange(2)],), "all outputs are equal"),
        (epsinas, ([torch.arange(2), torch.tensor([1e-14, 2e-14])],), "all outputs are equal"),
        (apd, ([torch.ones(2)], [torch.ones(2, 2)]), "needs convolutions"),
        (dss, ([torch.ones(1, 2)], [torch.ones(1, 2)], ["linear"]), "needs attention"),
    ],
)
def test_what_has_no_value_says_why(formula: Callable[..., Any], signals: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        formula(*signals)


def test_epe_nas_of_many_classes_is_their_mean_difference() -> None:
    jacobian = normal(0, 202, 40)
    labels = torch.arange(202) // 2
    correlations = [float(torch.corrcoef(jacobian[2 * c : 2 * c + 2])[0, 1]) for c in range(101)]
    scores = [2 * math.log(abs(r) + 1e-5) + 2 * math.log1p(1e-5) for r in correlations]
    differences = [abs(a - b) for i, a in enumerate(scores) for b in scores[:i]]
    assert float(epe_nas(jacobian, labels)) == pytest.approx(sum(differences) / len(differences), rel=1e-9)


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


def spectra(seed: int, count: int) -> list[Tensor]:
    return [normal(seed + i, 5).abs() for i in range(count)]


@any_numbers
@given(seeds, st.integers(2, 5), st.floats(0.01, 100))
def test_entropies_and_ranks_do_not_see_scale(seed: int, count: int, factor: float) -> None:
    maps = [normal(seed + i, 4, 9) for i in range(count)]
    for formula, signals in (
        (az_expressivity, spectra(seed, count)),
        (az_progressivity, spectra(seed, count)),
        (near, maps),
        (meco, maps),
    ):
        expected = float(formula(signals))
        assert float(formula([factor * s for s in signals])) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert 0 <= float(az_expressivity(spectra(seed, count))) <= count * math.log(5) + 1e-6
    assert count <= float(near(maps)) * (1 + 1e-9) and float(near(maps)) <= count * 4 * (1 + 1e-9)
    assert 0 <= float(meco(maps)) <= count


@any_numbers
@given(seeds, sizes, st.floats(0.01, 100))
def test_what_compares_gradients_does_not_see_their_scale(seed: int, size: int, factor: float) -> None:
    gradients = [normal(seed + i, 3, size, 2) for i in range(2)]
    assert float(zico([factor * g for g in gradients])) == pytest.approx(float(zico(gradients)), rel=1e-9, abs=1e-9)
    w, g = [normal(seed, size, 3)], [normal(seed + 1, size, 3)]
    assert float(snr_snip(w, [factor * t for t in g])) == pytest.approx(float(snr_snip(w, g)))
    rows = normal(seed, size, 8)
    condition = float(ntk_condition(rows @ rows.T))
    assert condition >= 1 and float(ntk_condition(factor * rows @ rows.T)) == pytest.approx(condition, rel=1e-4)
    assert float(ntk_trace(factor**2 * rows @ rows.T)) == pytest.approx(factor * float(ntk_trace(rows @ rows.T)))


@any_numbers
@given(seeds, sizes, st.lists(st.floats(0.01, 100), min_size=1, max_size=4))
def test_trainability_is_best_where_gradients_pass_unchanged(seed: int, size: int, gains: list[float]) -> None:
    value = float(az_trainability([torch.tensor(g, dtype=torch.float64) for g in gains]))
    assert value <= 1e-5
    inverse = float(az_trainability([torch.tensor(1 / g, dtype=torch.float64) for g in gains]))
    assert value == pytest.approx(inverse, rel=1e-2, abs=1e-2)


@any_numbers
@given(seeds, sizes)
def test_epe_nas_does_not_depend_on_the_order_of_samples_or_the_names_of_classes(seed: int, samples: int) -> None:
    jacobian, labels = normal(seed, samples, 12), torch.arange(samples) % 2
    expected = float(epe_nas(jacobian, labels))
    order = permutation(seed, samples)
    assert float(epe_nas(jacobian[order], labels[order])) == pytest.approx(expected, rel=1e-9)
    assert float(epe_nas(jacobian, 7 - 3 * labels)) == pytest.approx(expected, rel=1e-9)


def test_a_layer_whose_flow_is_rounding_errors_adds_nothing_to_ratios():
    weights, layer = [w.abs() for w in W], torch.tensor([[1e-15, 0.0, -3e-16]], dtype=torch.float64)
    gradients = [g.abs() for g in G]
    expected = float(snr_synflow(weights, gradients))
    found = float(snr_synflow([*weights, torch.ones_like(layer)], [*gradients, layer]))
    assert found == expected
    kernels = [LayerKernel(i, TWO) for i in range(len(weights) + 1)]
    expected = float(t_cet(kernels[:-1], weights, gradients))
    assert float(t_cet(kernels, [*weights, torch.ones_like(layer)], [*gradients, layer])) == expected


def test_a_layer_of_a_small_flow_keeps_its_ratio_beside_much_larger_ones():
    small = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    layers = [1e117 * small, small, 1e140 * torch.tensor([[1.0, -2.0]], dtype=torch.float64)]
    assert float(snr_synflow([torch.ones(1, 2)] * 3, layers)) == pytest.approx(3 * 3 / math.sqrt(0.5))


@pytest.mark.parametrize("scale", [1e-308, 1e-170, 1e170, 5e307])
def test_flows_of_any_size_have_their_ratio(scale):
    flows = scale * torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert float(snr_synflow([torch.ones(1, 2)], [flows])) == pytest.approx(3 / math.sqrt(0.5))
    assert float(snr_snip([torch.ones(1, 2)], [flows])) == pytest.approx(3 / math.sqrt(0.5))


def test_flows_that_only_decay_from_layer_to_layer_keep_their_ratios():
    layers = [10.0 ** (-8 * i) * torch.tensor([[1.0, 2.0]], dtype=torch.float64) for i in range(4)]
    assert float(snr_synflow([torch.ones(1, 2)] * 4, layers)) == pytest.approx(4 * 3 / math.sqrt(0.5))
