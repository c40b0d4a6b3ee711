"""Space `darts`: the sizes of published networks, genotypes as text, twins."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from zerocost.base.errors import InputError
from zerocost.spaces import Architecture, Fidelity, SearchSpace, get
from zerocost.spaces.darts import DARTSNet
from zerocost.spaces.darts_code import parse_genotype
from zerocost.testing.spaces import check_space

SAMPLE = Path(__file__).parents[2].parent / "shared" / "data" / "darts-cifar10-sample.csv"
GENOTYPES = {
    "DARTS_V2": "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])",
    "PC_DARTS": "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), "
    "('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], "
    "normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), "
    "('sep_conv_5x5', 2), ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], "
    "reduce_concat=range(2, 6))",
    "P_DARTS": "Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0),('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3',0), ('dil_conv_5x5', 4)], "
    "normal_concat=range(2, 6), reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), "
    "('dil_conv_5x5', 2), ('max_pool_3x3', 0), ('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], "
    "reduce_concat=range(2, 6))",
    "SNAS": "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 1), "
    "('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 0), ('sep_conv_3x3', 1)], "
    "normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('dil_conv_5x5', 2)], "
    "reduce_concat=range(2, 6))",
}


def genotype(normal: str, reduce: str | None = None) -> str:
    """A genotype from cells like `"sep_conv_3x3 0 skip_connect 1 …"`."""

    def cell(text: str) -> list[tuple[str, int]]:
        words = text.split()
        return [(operation, int(source)) for operation, source in zip(words[::2], words[1::2], strict=True)]

    concat = [2, 3, 4, 5]
    return (
        f"Genotype(normal={cell(normal)}, normal_concat={concat}, reduce={cell(reduce or normal)}, "
        f"reduce_concat={concat})"
    )


def test_contract() -> None:
    check_space(get("darts"), torch.rand(2, 3, 16, 16), samples=6, fidelities=(Fidelity(0.25, 0.5, 8),))


@pytest.mark.parametrize(
    ("name", "millions", "mega_flops"),
    [("DARTS_V2", 3.349342, None), ("PC_DARTS", 3.63, None), ("P_DARTS", 3.43, 532), ("SNAS", 2.66, 422)],
)
def test_published_networks_have_the_published_size(name: str, millions: float, mega_flops: int | None) -> None:
    """36 channels, 20 cells, 10 classes; the auxiliary head is not counted."""
    with torch.device("meta"):
        network = DARTSNet(parse_genotype(GENOTYPES[name]), channels=36, cells=20)
    parameters = sum(p.numel() for p in network.parameters())
    assert round(parameters / 1e6, len(str(millions)) - 2) == millions
    if mega_flops:
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, 32, 32, device="meta"))
        assert round(counter.get_total_flops() / 2e6) == mega_flops


def test_parameters_of_the_network_of_nasbench301_add_up() -> None:
    """Each operation of each of the eight cells counted by hand."""

    def convolution(inputs: int, outputs: int) -> int:
        return inputs * outputs + 2 * outputs

    def operation(name: str, channels: int, stride: int) -> int:
        if "conv" in name:
            once = int(name[-1]) ** 2 * channels + convolution(channels, channels)
            return 2 * once if name.startswith("sep") else once
        return convolution(channels, channels) if name == "skip_connect" and stride == 2 else 0

    space = get("darts")
    for arch in [space.sample(np.random.default_rng(seed)) for seed in range(10)]:
        cells = parse_genotype(str(arch))
        total = 27 * 96 + 2 * 96 + 512 * 10 + 10
        before, last = 96, 96
        for i, channels in enumerate((32, 32, 64, 64, 64, 128, 128, 128)):
            reduction = i in (2, 5)
            total += convolution(before, channels) + convolution(last, channels)
            for name, source in cells.reduce if reduction else cells.normal:
                total += operation(name, channels, 2 if reduction and source < 2 else 1)
            before, last = last, 4 * channels
        with torch.device("meta"):
            network = space.build(arch)
        assert sum(p.numel() for p in network.parameters()) == total, arch


def test_size() -> None:
    assert get("darts").size == ((1 * 3 * 6 * 10) * 7**8) ** 2


@pytest.mark.parametrize("name", GENOTYPES)
def test_published_genotypes_are_kept_as_they_are_spelt_and_can_be_changed(name: str) -> None:
    space, rng = get("darts"), np.random.default_rng(0)
    arch = space.parse(GENOTYPES[name])
    assert str(arch) == GENOTYPES[name]
    assert pickle.loads(pickle.dumps(space)).parse(str(arch)) == arch
    drawn = Architecture(str(parse_genotype(str(arch))), arch.choices)
    assert space.canonical(arch) == space.canonical(drawn)
    near = list(space.neighbors(arch))
    assert len(near) == 2 * (2 + 5 + 9 + 4 * 2 * 6)
    assert space.mutate(arch, rng) in near
    assert space.crossover(arch, arch, rng) == arch
    assert space.crossover(arch, near[0], rng) in (arch, near[0])


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE} is not there")
def test_published_sample_is_read_and_told_apart() -> None:
    """Its genotypes have `none` and two edges from one input, which the space does not draw."""
    space = get("darts")
    texts = [row["genotype"] for row in csv.DictReader(SAMPLE.read_text().splitlines())]
    archs = [space.parse(text) for text in texts]
    assert [str(arch) for arch in archs] == texts == [str(parse_genotype(text)) for text in texts]
    assert (
        len({space.canonical(arch) for arch in archs}) == len({space.encode(arch).tobytes() for arch in archs}) == 250
    )
    for arch in archs[:3]:
        network = space.build(arch, Fidelity(0.25, 0.5))
        assert network(torch.rand(2, 3, 16, 16)).shape == (2, 10)


def test_what_the_space_does_not_draw_is_built_but_not_changed() -> None:
    space = get("darts")
    arch = space.parse(genotype("none 0 none 1 sep_conv_3x3 1 skip_connect 1 none 2 max_pool_3x3 0 " + STEM))
    assert torch.isfinite(space.build(arch, Fidelity(0.25))(torch.rand(2, 3, 16, 16))).all()
    for step in (space.mutate, lambda arch, rng: list(space.neighbors(arch))):
        with pytest.raises(InputError, match=r"normal_2_a=none .* is not an option"):
            step(arch, np.random.default_rng(0))


STEM = "sep_conv_3x3 0 sep_conv_5x5 1"


def key(space: SearchSpace, *cells: str) -> str:
    return space.canonical(space.parse(genotype(*cells)))


def test_twins() -> None:
    space = get("darts")
    pool, skips = "max_pool_3x3 0 avg_pool_3x3 1", "skip_connect 0 skip_connect 1"
    one = key(space, f"{STEM} {pool} sep_conv_3x3 2 dil_conv_3x3 3 skip_connect 4 max_pool_3x3 2")
    edges_swapped = f"sep_conv_5x5 1 sep_conv_3x3 0 {pool} dil_conv_3x3 3 sep_conv_3x3 2 max_pool_3x3 2 skip_connect 4"
    nodes_swapped = f"{pool} {STEM} sep_conv_3x3 3 dil_conv_3x3 2 skip_connect 4 max_pool_3x3 3"
    other = f"{STEM} {pool} sep_conv_3x3 2 dil_conv_3x3 3 skip_connect 4 max_pool_3x3 3"
    assert one == key(space, edges_swapped) == key(space, nodes_swapped) != key(space, other)

    by_one, by_both = (f"{skips} {skips} sep_conv_3x3 2 {pool[:14]} sep_conv_3x3 {node} {pool[:14]}" for node in "23")
    assert key(space, by_one, other) == key(space, by_both, other)
    assert key(space, other, by_one) != key(space, other, by_both)  # there a skip of an input learns


def test_fidelity_scales_channels_and_cells_but_keeps_both_reductions() -> None:
    space = get("darts")
    arch = space.parse(GENOTYPES["DARTS_V2"])

    def features(fidelity: Fidelity) -> list[int]:
        return [cell.inputs[1][1].out_channels for cell in space.build(arch, fidelity).cells]

    assert features(Fidelity()) == [32, 32, 64, 64, 64, 128, 128, 128]
    assert features(Fidelity(width=0.25)) == [8, 8, 16, 16, 16, 32, 32, 32]
    assert features(Fidelity(depth=0.5)) == [32, 64, 128, 128]
    assert features(Fidelity(depth=0.01)) == [32, 64, 128]


@pytest.mark.parametrize("size", [7, 28, 33])
def test_classes_channels_and_size_of_images(size: int) -> None:
    space, rng = get("darts", classes=3, in_channels=1), np.random.default_rng(0)
    for _ in range(3):
        network = space.build(space.sample(rng), Fidelity(0.1, 0.1))
        assert network(torch.rand(2, 1, size, size)).shape == (2, 3)


EDGES = "[" + ", ".join(["('skip_connect', 0)", "('skip_connect', 1)"] * 4) + "]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"an architecture of space darts reads Genotype\(normal="),
        ("Genotype(", "darts reads Genotype"),
        ("genotype(normal=[])", "darts reads Genotype"),
        ("Genotype([], [2, 3, 4, 5], [], [2, 3, 4, 5])", "darts reads Genotype"),
        (f"Genotype(normal={EDGES})", "has normal, normal_concat, reduce, reduce_concat, but got normal in"),
        (f"{{normal={EDGES[:-1]}, (1, 2)]}}", "but got 10|but got 9"),
        (f"{{normal={EDGES[:21]}]}}", "two edges for each of 4 nodes, 8 in all, but got 1"),
        ("{normal=8}", r"normal of a genotype is a list of \(operation, input\) pairs, but got '8'"),
        ("{normal=open('x')}", 'list of .* pairs, but got "open'),
        (f"{{normal={EDGES.replace('skip_connect', 'sep_conv_3x4', 1)}}}", "did you mean 'sep_conv_3x3'"),
        (f"{{normal={EDGES.replace('0', '2', 1)}}}", r"node 2 of normal takes inputs 0 … 1, but edge 0 .*, 2\)"),
        (f"{{reduce={EDGES.replace('0', 'True', 1)}}}", "node 2 of reduce takes inputs"),
        ("{normal_concat=[2, 3, 4]}", r"normal_concat of a genotype must be all four nodes.*but got \[2, 3, 4\]"),
        ("{reduce_concat=range(2, 7)}", r"must be all four nodes.*but got range\(2, 7\)"),
        ("{reduce_concat=range(2, 6, 0)}", "must be all four nodes"),
        ("{reduce_concat=range(9**9)}", "must be all four nodes"),
    ],
)
def test_parse_says_what_is_wrong(text: str, message: str) -> None:
    """A text in braces is one argument that replaces the one of a sound genotype."""
    if text.startswith("{"):
        name, _, value = text[1:-1].partition("=")
        sound = {"normal": EDGES, "normal_concat": "range(2, 6)", "reduce": EDGES, "reduce_concat": "[2, 3, 4, 5]"}
        text = f"Genotype({', '.join(f'{k}={v}' for k, v in (sound | {name: value}).items())})"
    with pytest.raises(InputError, match=message):
        get("darts").parse(text)


@pytest.mark.parametrize("settings", [{"classes": 0}, {"in_channels": 0}])
def test_refuses_images_it_cannot_serve(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="classes >= 1 and in_channels >= 1"):
        get("darts", **settings)
