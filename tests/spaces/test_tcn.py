"""Space `tcn`: its size, its networks, what each step of a series sees."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from zerocost import score
from zerocost.base.errors import InputError
from zerocost.scoring.candidates import initialise
from zerocost.spaces import Architecture, Fidelity, SearchSpace, distinct, get
from zerocost.testing.spaces import check_space


def test_contract() -> None:
    space = get("tcn", features=2, outputs=3)
    scaled = (Fidelity(width=0.5), Fidelity(depth=0.5), Fidelity(0.25, 0.25))
    check_space(space, torch.randn(2, 40, 2), samples=8, fidelities=scaled)


def test_size_is_the_number_of_architectures() -> None:
    """Depths from 2 on have as many as depth 2, which are counted; depth 1 has no dilation."""
    space = get("tcn")
    shallow = itertools.takewhile(lambda arch: dict(arch.choices)["depth"] < 3, space)
    one, two = (len(list(found)) for _, found in itertools.groupby(shallow, lambda arch: dict(arch.choices)["depth"]))
    assert 3 * one == two
    assert one + 5 * two == space.size


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 3),
    outputs=st.integers(1, 4),
    time=st.integers(1, 50),
    width=st.sampled_from([0.1, 0.5, 1.0]),
    depth=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_every_member_runs_on_any_length_at_any_fidelity(
    seed: int, channels: int, outputs: int, time: int, width: float, depth: float
) -> None:
    space = get("tcn", features=channels, outputs=outputs)
    network = initialise(partial(space.build, space.sample(np.random.default_rng(seed)), Fidelity(width, depth)), 0)
    found = network(torch.randn(3, time, channels))
    assert found.shape == (3, outputs)
    found.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_no_two_neighbours_compute_the_same() -> None:
    """Dead choices would show as equal outputs of networks that share a seed; dropout is seen in training alone."""
    space = get("tcn")
    inputs = torch.randn(3, 64, 1, generator=torch.Generator().manual_seed(0))
    for arch in distinct(space, 3, np.random.default_rng(0)):
        outputs = []
        for near in itertools.chain([arch], space.neighbors(arch)):
            network = initialise(partial(space.build, near), 0).train()
            torch.manual_seed(0)
            outputs.append(network(inputs))
        for a, b in itertools.combinations(outputs, 2):
            assert not torch.allclose(a, b, atol=1e-8)


def test_no_network_sees_padding_alone() -> None:
    """Of an even kernel in the middle, the two steps nearest to the output's own once lay on both sides of it."""
    space = get("tcn")
    arch = space.parse(
        "depth=6,width=8,kernel=2,dilation=4,causal=False,norm=none,activation=silu,residual=False,dropout=0.0,head=max"
    )
    series = torch.randn(1, 14, 1, requires_grad=True)
    initialise(partial(space.build, arch), 0)(series).sum().backward()
    assert series.grad is not None and series.grad.abs().sum() > 0


@pytest.mark.parametrize(("depth", "dilation", "reach"), [(1, 1, 3), (3, 1, 7), (3, 2, 15)])
def test_a_causal_network_sees_its_reach_and_no_later_step(depth: int, dilation: int, reach: int) -> None:
    space = get("tcn")
    asked = f"dilation={dilation}," if depth > 1 else ""
    arch = space.parse(
        f"depth={depth},width=8,kernel=3,{asked}causal=True,norm=none,activation=silu,residual=True,dropout=0.0,head=last"
    )
    network = initialise(partial(space.build, arch), 0).double()
    series = torch.randn(1, 1, 40, dtype=torch.float64, requires_grad=True)
    network.blocks(series)[:, :, 20].sum().backward()
    assert series.grad is not None
    assert series.grad[0, 0].nonzero().flatten().tolist() == list(range(21 - reach, 21))


@pytest.mark.parametrize("kernel", [2, 3, 5, 7])
@pytest.mark.parametrize("causal", [True, False])
def test_a_block_keeps_the_length(kernel: int, causal: bool) -> None:
    space = get("tcn")
    arch = space.parse(
        f"depth=3,width=8,kernel={kernel},dilation=4,causal={causal},norm=group,activation=relu,residual=False,"
        "dropout=0.1,head=max"
    )
    assert space.build(arch).blocks(torch.randn(2, 1, 33)).shape == (2, 8, 33)


def test_proxies_score_a_member() -> None:
    space = get("tcn", features=2, outputs=3)
    arch = space.parse(
        "depth=3,width=16,kernel=3,dilation=2,causal=True,norm=batch,activation=relu,residual=True,dropout=0.1,head=last"
    )
    network = initialise(partial(space.build, arch), 0)
    series, labels = torch.randn(8, 32, 2), torch.arange(8) % 3
    card = score(network, (series, labels), proxies=["jacob_cov", "log_synflow", "naswot", "zico(parts=2)", "flops"])
    assert not card.failures


def test_members_learn_a_forecast_and_differ_in_how_well() -> None:
    space = get("tcn")
    steps = torch.arange(800.0)
    noise = 0.1 * torch.randn(800, generator=torch.Generator().manual_seed(0))
    series = torch.sin(steps / 3) + torch.sin(steps / 11) + noise
    windows, targets = series.unfold(0, 33, 1)[:, :-1, None], series.unfold(0, 33, 1)[:, -1:]
    rng = np.random.default_rng(0)
    errors = [_forecast_error(space, arch, windows, targets) for arch in distinct(space, 6, rng)]
    assert min(errors) < 0.15
    assert max(errors) > 2 * min(errors)


def _forecast_error(space: SearchSpace, arch: Architecture, windows: Tensor, targets: Tensor) -> float:
    """The squared error on the last windows of a network trained on the first."""
    network = initialise(partial(space.build, arch, Fidelity(width=0.5)), 0)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for start in [*range(0, 640, 32)] * 3:
        batch = slice(start, start + 32)
        optimizer.zero_grad()
        F.mse_loss(network(windows[batch]), targets[batch]).backward()
        optimizer.step()
    with torch.no_grad():
        return F.mse_loss(network.eval()(windows[680:]), targets[680:]).item()


@pytest.mark.parametrize("sizes", [{"features": 0}, {"outputs": 0}])
def test_refuses_series_it_cannot_serve(sizes: dict[str, int]) -> None:
    with pytest.raises(InputError, match="features >= 1 and outputs >= 1"):
        get("tcn", **sizes)
