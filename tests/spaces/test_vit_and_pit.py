"""Spaces `vit` and `pit`: vision transformers."""

from __future__ import annotations

import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.spaces import FULL, Fidelity, get
from zerocost.spaces.vit import VisionSpec, VisionTransformer
from zerocost.testing.spaces import check_space

IMAGES = torch.rand(2, 3, 32, 32)
FIDELITIES = (Fidelity(width=0.25), Fidelity(0.25, 0.3, 16))


@pytest.mark.parametrize("name", ["vit", "pit"])
def test_contract(name: str) -> None:
    check_space(get(name, resolution=32), IMAGES, samples=4, fidelities=FIDELITIES)


def test_autoformer_tiny_has_the_published_parameters() -> None:
    """5.8 million, as its repository says; its ratios of 3.0 are not in Auto-Prox's space."""
    ratios = (3.5, 3.5, 3.0, 3.5, 3.0, 3.0, 4.0, 4.0, 3.5, 4.0, 3.5, 4.0, 3.5)
    heads = (3,) * 10 + (4, 3, 3)
    with torch.device("meta"):
        network = VisionTransformer(VisionSpec(192, heads, ratios), FULL, 1000, 3, 224)
    assert sum(p.numel() for p in network.parameters()) == 5_768_104


def test_pit_tiny_has_the_published_parameters() -> None:
    """4.85 million, as its paper and timm say."""
    space = get("pit", classes=1000)
    with torch.device("meta"):
        count = sum(p.numel() for p in space.build(space.parse("32:2-6-4:2-4-8:4")).parameters())
    assert count == 4_847_272


def test_heads_have_64_features_in_vit_and_the_base_in_pit() -> None:
    vit, pit = get("vit", resolution=32), get("pit", resolution=32)
    network = vit.build(vit.parse("216:" + "3-4-" * 5 + "3-4:" + "3.5-4.0-" * 5 + "3.5-4.0"))
    assert [block.attention.projection.in_features for block in network.blocks[:2]] == [192, 256]
    assert [block.mlp[0].out_features for block in network.blocks[:2]] == [756, 864]
    stages = pit.build(pit.parse("24:1-4-2:2-4-4:6")).stages
    assert [stage.blocks[0].norm1.normalized_shape[0] for stage in stages] == [48, 96, 96]
    assert [len(stage.blocks) for stage in stages] == [1, 4, 2]


def test_pit_halves_the_map_between_stages() -> None:
    pit = get("pit", resolution=48)
    network = pit.build(pit.parse("16:1-4-2:2-2-4:2"))
    shapes = []
    for stage in network.stages:
        stage.register_forward_hook(lambda *call: shapes.append(tuple(call[2][0].shape[1:])))
    assert network(torch.rand(1, 3, 48, 48)).shape == (1, 100)
    assert shapes == [(32, 5, 5), (32, 3, 3), (64, 2, 2)]


def test_sizes_of_the_spaces() -> None:
    assert get("pit").size == sum(1 for _ in get("pit"))
    assert get("vit").size == 3 * (4**12 + 4**13 + 4**14)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vit", "192:3-4:3.5-4.0"),
        ("vit", "192:" + "-".join(["3"] * 12) + ":" + "-".join(["3.5"] * 13)),
        ("vit", ""),
        ("pit", "32:2-6-4:8-4-2:4"),
        ("pit", "32:4-6-4:2-4-8:4"),
        ("pit", ""),
    ],
)
def test_parse_says_what_is_wrong(name: str, text: str) -> None:
    with pytest.raises(InputError, match=f"an architecture of space {name} reads .*, but got"):
        get(name).parse(text)


@pytest.mark.parametrize("name", ["vit", "pit"])
def test_refuses_images_smaller_than_a_patch(name: str) -> None:
    with pytest.raises(
        InputError, match=f"space {name} takes images of at least 16 pixels a side, but got resolution=8"
    ):
        get(name, resolution=8)
    space = get(name)
    with pytest.raises(InputError, match="at least 16"):
        space.build(next(iter(space)), Fidelity(resolution=8))
