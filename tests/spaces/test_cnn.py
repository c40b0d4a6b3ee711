"""Space `cnn`: its size, its networks, the textbook network among them."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from zerocost.base.errors import InputError
from zerocost.scoring.candidates import initialise
from zerocost.spaces import Fidelity, distinct, get
from zerocost.testing.spaces import check_space

TEXTBOOK = (
    "depth=2,width=16,growth=2,kernel=3,downsample=none,norm=none,activation=relu,residual=False,"
    "head=flatten,hidden=128"
)


class CNNModel(nn.Module):
    """The textbook network, written out."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.fc1 = nn.Linear(2 * channels * 32 * 32, 128)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def test_contract() -> None:
    scaled = (Fidelity(width=0.5), Fidelity(depth=0.5), Fidelity(resolution=8), Fidelity(0.25, 0.25, 8))
    check_space(get("cnn", resolution=16), torch.rand(2, 3, 16, 16), samples=8, fidelities=scaled)


@pytest.mark.parametrize("resolution", [8, 20, 32])
def test_size_is_the_number_of_architectures(resolution: int) -> None:
    space = get("cnn", resolution=resolution)
    keys = {space.canonical(arch) for arch in space}
    assert len(keys) == space.size
    if resolution == 32:
        assert space.size == 89_280


def test_the_textbook_network_is_a_member() -> None:
    space = get("cnn")
    ours = initialise(partial(space.build, space.parse(TEXTBOOK)), 0)
    theirs = initialise(lambda: CNNModel(16, 10), 0)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(ours(images), theirs(images))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    resolution=st.integers(8, 20),
    classes=st.integers(1, 5),
    channels=st.sampled_from([1, 3]),
    width=st.sampled_from([0.1, 0.5, 0.8, 1.0]),
    depth=st.sampled_from([0.1, 0.5, 0.8, 1.0]),
)
def test_every_member_runs_at_any_fidelity(
    seed: int, resolution: int, classes: int, channels: int, width: float, depth: float
) -> None:
    space = get("cnn", classes=classes, in_channels=channels)
    arch = space.sample(np.random.default_rng(seed))
    network = initialise(partial(space.build, arch, Fidelity(width, depth, resolution)), 0)
    outputs = network(torch.rand(2, channels, resolution, resolution))
    assert outputs.shape == (2, classes)
    outputs.logsumexp(1).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_no_two_neighbours_compute_the_same() -> None:
    """Dead choices would show as equal outputs of networks that share a seed."""
    space = get("cnn", resolution=8)
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for arch in distinct(space, 2, np.random.default_rng(0)):
        outputs = [
            initialise(partial(space.build, a), 0)(images) for a in itertools.chain([arch], space.neighbors(arch))
        ]
        for a, b in itertools.combinations(outputs, 2):
            assert not torch.allclose(a, b, atol=1e-7)


def test_fidelity_scales_channels_and_layers_but_not_downsampling() -> None:
    space = get("cnn")
    arch = space.parse(
        "depth=5,width=16,growth=2,kernel=3,downsample=max,times=2,norm=group,activation=silu,residual=True,"
        "head=flatten,hidden=64"
    )

    def channels(fidelity: Fidelity) -> list[int]:
        return [block.conv.out_channels for block in space.build(arch, fidelity).blocks]

    assert channels(Fidelity()) == [16, 32, 64, 128, 128]
    assert channels(Fidelity(width=0.5)) == [8, 16, 32, 64, 64]
    assert channels(Fidelity(width=0.01)) == [4, 4, 4, 4, 4]
    assert channels(Fidelity(depth=0.8)) == [16, 32, 64, 128]
    assert channels(Fidelity(depth=0.1)) == [16, 32, 64]
    for fidelity in (Fidelity(), Fidelity(depth=0.1)):
        assert space.build(arch, fidelity).blocks(torch.rand(1, 3, 32, 32)).shape[2:] == (8, 8)


def test_networks_are_cheap() -> None:
    """Half of the members have fewer than a third of a million weights."""
    space = get("cnn")
    archs = distinct(space, 100, np.random.default_rng(0))
    with torch.device("meta"):
        parameters = sorted(sum(p.numel() for p in space.build(arch).parameters()) for arch in archs)
    assert parameters[50] < 330_000


def test_members_learn_digits_and_differ_in_how_well() -> None:
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 0.6
    targets = torch.tensor(labels)
    space = get("cnn", in_channels=1, resolution=8)
    accuracies = []
    for arch in distinct(space, 6, np.random.default_rng(0)):
        network = initialise(partial(space.build, arch, Fidelity(width=0.5)), 0)
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        for start in range(0, 1280, 32):
            batch = slice(start, start + 32)
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), targets[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            hits = network.eval()(images[1280:]).argmax(1) == targets[1280:]
        accuracies.append(hits.float().mean().item())
    assert min(accuracies) > 0.3
    assert max(accuracies) > 0.8
    assert max(accuracies) - min(accuracies) > 0.05


@pytest.mark.parametrize("settings", [{"resolution": 7}, {"classes": 0}, {"in_channels": 0}])
def test_refuses_images_it_cannot_serve(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="resolution >= 8, classes >= 1 and in_channels >= 1"):
        get("cnn", **settings)
