"""Space `nats_size`: channel counts of a fixed cell."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.spaces import Fidelity, get
from zerocost.testing.spaces import check_space

SPACE = get("nats_size")
PUBLISHED = {"8:8:8:8:8": 11_714, "8:8:16:40:40": 107_826, "64:64:64:64:64": 713_674}


def test_contract() -> None:
    check_space(SPACE, torch.rand(2, 3, 8, 8), samples=8, fidelities=(Fidelity(width=0.5), Fidelity(0.25, 0.5, 4)))


@pytest.mark.parametrize(("text", "expected"), PUBLISHED.items())
def test_published_parameter_counts(text: str, expected: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in SPACE.build(SPACE.parse(text)).parameters()) == expected


def test_iteration_follows_the_index_of_the_benchmark() -> None:
    order = [str(arch) for arch in SPACE]
    assert len(set(order)) == len(order) == SPACE.size == 32_768
    assert order[:9] == [f"8:8:8:8:{c}" for c in range(8, 65, 8)] + ["8:8:8:16:8"]
    assert order[-1] == "64:64:64:64:64"


def test_every_layer_has_the_channels_asked_for() -> None:
    network = SPACE.build(SPACE.parse("8:64:16:40:24"))
    seen = []
    for layer in network.cells:
        layer.register_forward_hook(lambda *call: seen.append(tuple(call[2].shape[1:])))
    assert network(torch.rand(1, 3, 16, 16)).shape == (1, 10)
    assert seen == [(8, 16, 16), (64, 8, 8), (16, 8, 8), (40, 4, 4), (24, 4, 4)]


def test_a_skip_between_different_channels_is_a_convolution_without_activation() -> None:
    same, other = (SPACE.build(SPACE.parse(text)).cells[2].layers[3] for text in ("8:8:8:8:8", "8:8:16:8:8"))
    images = torch.randn(2, 8, 4, 4)
    assert torch.equal(same(images), images)
    assert [name for name, _ in other.named_parameters()] == ["conv.weight", "bn.weight", "bn.bias"]
    assert torch.allclose(other(-images), -other(images), atol=1e-5)


def test_fidelity_scales_channels() -> None:
    network = SPACE.build(SPACE.parse("8:16:32:48:64"), Fidelity(width=0.5))
    assert network.stem[0].out_channels == 4
    assert network.classifier.in_features == 32


def test_neighbours_change_one_layer() -> None:
    near = [str(arch) for arch in SPACE.neighbors(SPACE.parse("8:8:8:8:8"))]
    assert len(near) == 5 * 7
    assert list(islice(near, 2)) == ["16:8:8:8:8", "24:8:8:8:8"]


@pytest.mark.parametrize("text", ["8:8:8:8", "8:8:8:8:72", "8:8:8:8:08", "8:8:8:8:8:8", ""])
def test_parse_says_what_is_wrong(text: str) -> None:
    with pytest.raises(InputError, match=r"is 5 of 8, 16, .*, 64 joined by colons, such as '8:16:32:48:64', but got"):
        SPACE.parse(text)


@pytest.mark.parametrize("wrong", [{"classes": 0}, {"in_channels": 0}])
def test_refuses_images_it_cannot_serve(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="classes >= 1 and in_channels >= 1"):
        get("nats_size", **wrong)
