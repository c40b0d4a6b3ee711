"""Space `gpt`: the decoders of HW-GPT-Bench."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.spaces import Fidelity, get
from zerocost.spaces.attention import rotate
from zerocost.testing.spaces import check_space

SMALL = "192:" + "-".join(["4", "8"] * 5) + ":" + "-".join(["2", "3"] * 5) + ":1"
TOKENS = torch.randint(50, (2, 6), generator=torch.Generator().manual_seed(0))


def repeated(width: int, layers: int, heads: int) -> str:
    return f"{width}:{'-'.join([str(heads)] * layers)}:{'-'.join(['4'] * layers)}:1"


def test_contract() -> None:
    check_space(get("gpt", vocabulary=50), TOKENS, samples=1, fidelities=[Fidelity(0.1, 0.3)])


def test_scale_m_reads_what_it_writes() -> None:
    space = get("gpt", vocabulary=50, scale="m")
    arch = space.sample(np.random.default_rng(0))
    assert space.parse(str(arch)).choices == arch.choices
    assert len(space.build(arch, Fidelity(width=0.05)).blocks) == dict(arch.choices)["layers"]


@pytest.mark.parametrize(
    ("scale", "text", "gpt2", "width"),
    [("s", repeated(768, 12, 12), 124_439_808, 768), ("m", repeated(1024, 24, 16), 354_823_168, 1024)],
)
def test_the_largest_is_gpt2_without_its_positions_and_three_tokens(
    scale: str, text: str, gpt2: int, width: int
) -> None:
    space = get("gpt", scale=scale)
    with torch.device("meta"):
        count = sum(p.numel() for p in space.build(space.parse(text)).parameters())
    assert count == gpt2 - (1024 + 3) * width


def test_a_head_has_64_features_at_any_width() -> None:
    space = get("gpt", vocabulary=50)
    network = space.build(space.parse(SMALL))
    assert [block.attention.projection.in_features for block in network.blocks[:2]] == [256, 512]
    assert [block.mlp[0].out_features for block in network.blocks[:2]] == [384, 576]
    assert len(network.blocks) == 10


def test_bias_is_a_choice_of_linear_layers_alone() -> None:
    space = get("gpt", vocabulary=50)
    names = [n for n, _ in space.build(space.parse(SMALL[:-1] + "0")).named_parameters() if n.endswith("bias")]
    assert names
    assert all("norm" in name for name in names)


def test_tokens_see_those_before_them_and_their_order() -> None:
    space = get("gpt", vocabulary=50)
    network = space.build(space.parse(SMALL), Fidelity(width=0.1))
    for block in network.blocks:
        torch.nn.init.normal_(block.attention.queries_keys_values.weight)
    other = TOKENS.clone()
    other[:, 4] = 7
    before, after = network(TOKENS), network(other)
    assert torch.allclose(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 5], after[:, 5])
    assert not torch.allclose(network(TOKENS[:, [1, 0, 2, 3]])[:, 3], before[:, 3])


def test_rotation_makes_scores_depend_on_distance_alone() -> None:
    query, key = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0))
    queries, keys = rotate(query.expand(1, 1, 9, 16)), rotate(key.expand(1, 1, 9, 16))
    scores = (queries @ keys.transpose(2, 3))[0, 0]
    for distance in (0, 2, 5):
        along = scores.diagonal(distance)
        assert torch.allclose(along, along[0].expand_as(along), atol=1e-4)
    assert abs(scores[0, 0] - scores[0, 5]) > 0.01
    assert torch.equal(queries[..., 8:], query[..., 8:].expand(1, 1, 9, 8))
    assert torch.allclose(queries.norm(dim=-1), query.norm().expand(1, 1, 9))


@pytest.mark.parametrize(
    "text", ["192:4-4:2-2:0", SMALL[:-2], SMALL.replace("192", "200"), SMALL.replace("8", "6"), SMALL + "0", ""]
)
def test_parse_says_what_is_wrong(text: str) -> None:
    with pytest.raises(InputError, match=r"reads WIDTH:HEADS-….*192, 384 or 768, 10, 11 or 12 heads.*but got"):
        get("gpt").parse(text)


def test_refuses_another_scale_or_no_tokens() -> None:
    with pytest.raises(InputError, match="unknown scale of space gpt 'xl'"):
        get("gpt", scale="xl")
    with pytest.raises(InputError, match="vocabulary >= 2, but got 1"):
        get("gpt", vocabulary=1)
