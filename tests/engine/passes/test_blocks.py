from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.base.seeding import stream
from zerocost.engine.passes.blocks import block_gains, channels_in_rows, random_signs
from zerocost.engine.watch.blocks import BlockMap

N, C, SIDE = 64, 3, 6


def start(n=N, c=C, side=SIDE):
    x = torch.randn(n, c, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x.requires_grad_()


def gains(maps, seed):
    return block_gains([BlockMap(found, lambda values: values) for found in maps], seed)


def mixed(x, matrix):
    """A block that mixes channels: a 1×1 convolution."""
    return F.conv2d(x, matrix[:, :, None, None])


def chain(x, *matrices):
    maps = [x]
    for matrix in matrices:
        maps.append(mixed(maps[-1], matrix))
    return maps


def by_hand(matrix, signs):
    """Largest singular value of the mean of g_in·g_outᵀ, where g_in is the matrix transposed times g_out."""
    out = signs.movedim(1, -1).flatten(0, -2)
    return float(torch.linalg.svdvals((out @ matrix).T @ out / len(out))[0])


def test_a_chain_of_matrices_by_hand():
    torch.manual_seed(0)
    one, two = torch.randn(4, C, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    maps = chain(start(), one, two)
    generator = stream(7, "signs")
    expected = [by_hand(matrix, random_signs(m, generator)) for matrix, m in ((two, maps[2]), (one, maps[1]))][::-1]
    assert [float(g) for g in gains(maps, seed=7)] == pytest.approx(expected, rel=1e-10)


def test_of_many_samples_the_gain_is_the_largest_singular_value_of_the_block():
    torch.manual_seed(0)
    matrix = torch.randn(4, C, dtype=torch.float64)
    found = gains(chain(start(n=2000), matrix), seed=0)
    assert float(found[0]) == pytest.approx(float(torch.linalg.svdvals(matrix)[0]), rel=0.02)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_block_that_scales_has_that_gain(factor):
    x = start(n=500)
    assert float(gains([x, factor * x], seed=0)[0]) == pytest.approx(factor, rel=0.05)


def test_positions_that_a_stride_joins_count_as_channels():
    x = start()
    out = F.avg_pool2d(x, 2)
    back = torch.autograd.grad(out.sum(), x)[0]
    assert channels_in_rows(back, out.shape).shape == (C * 4, N * 9)
    found = float(gains([x, 2 * F.avg_pool2d(x, 2)], seed=0)[0])
    assert found == pytest.approx(1.0, rel=0.1)  # four inputs of 2/4 each: a vector of length 1


def test_maps_whose_positions_do_not_divide_are_a_failure():
    x = start()
    for block in (lambda v: v[:, :, 1:-1, 1:-1], lambda v: F.interpolate(v, scale_factor=2), lambda v: v.flatten(2)):
        with pytest.raises(Failure, match="whose positions differ"):
            gains([x, block(x)], seed=0)


def test_rows_of_which_some_are_picked_are_a_failure():
    x = torch.randn(6, 4, requires_grad=True)
    with pytest.raises(Failure, match=r"\(6, 4\) into \(2, 4\), whose positions differ"):
        gains([x, x[:2] * 2], seed=0)


def test_a_chain_needs_two_maps_a_path_and_a_change():
    x = start()
    with pytest.raises(Failure, match="fewer than two blocks"):
        gains([x], seed=0)
    with pytest.raises(Failure, match="no path"):
        gains([x, x.detach()], seed=0)
    with pytest.raises(Failure, match="hands its input on unchanged"):
        gains([x, x.clone()], seed=0)
    assert float(gains([x, 0 * x], seed=0)[0]) == 0.0


def test_signs_are_fair_and_follow_the_seed():
    one, again, other = (random_signs(start(), torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert set(one.unique().tolist()) == {-1.0, 1.0} and abs(float(one.mean())) < 0.05


def test_trainability_of_a_network_is_that_of_its_blocks():
    torch.manual_seed(0)
    block = lambda: nn.Sequential(nn.Conv2d(C, C, 3, padding=1), nn.BatchNorm2d(C))  # noqa: E731
    model = nn.Sequential(nn.Conv2d(C, C, 1), block(), block(), nn.Flatten(), nn.Linear(C * SIDE**2, 2)).double()
    stem = model[0](start())
    one = model[1](stem)
    found = gains([stem, one, model[2](one)], seed=3)
    expected = sum(2 - float(g) - 1 / (float(g) + 1e-6) for g in found) / 2
    card = zc.score(model, start().detach(), "az_trainability", seed=3)
    assert card["az_trainability"] == pytest.approx(expected, rel=1e-9)
