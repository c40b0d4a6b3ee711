"""Space `nasbench101`: the cells, their hashes and steps, and the networks the benchmark trained."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zerocost.base.errors import InputError
from zerocost.scoring.candidates import initialise
from zerocost.spaces import FULL, Fidelity, get, nasbench101
from zerocost.spaces.dag import Dag, edge_sets
from zerocost.spaces.nasbench101 import NASBench101, space
from zerocost.spaces.nasbench101_network import Cell, vertex_channels
from zerocost.testing.spaces import check_space

SHARED = Path(__file__).parents[2].parent / "shared"
SPACE = space()
PUBLISHED = {
    "conv3x3~0|conv1x1~1|conv1x1~012|conv3x3~1|conv1x1~4|output~35": ("ff92c322c5d9d3d587d9c146a63d0807", 6_315_018),
    "conv3x3~0|conv1x1~0|maxpool3x3~2|maxpool3x3~13|output~0134": ("ff958f8d8f556448ff2a5973f17ff22a", 2_624_049),
    "conv1x1~0|conv1x1~1|maxpool3x3~02|conv3x3~3|output~04": ("ff9707907f5c17ef8f80cc68fff30f74", 14_000_266),
}
seeds = st.integers(0, 2**32 - 1)


def parameters(text: str, fidelity: Fidelity = FULL) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in SPACE.build(SPACE.parse(text), fidelity).parameters())


def edges(text: str) -> set[tuple[int, int]]:
    return {(int(source), to) for to, part in enumerate(text.split("|"), 1) for source in part.split("~")[1]}


def test_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """On networks of a quarter of the channels, to save time."""
    monkeypatch.setattr(nasbench101, "_CHANNELS", 32)
    small = (Fidelity(width=0.25), Fidelity(0.25, 0.4, 4))
    check_space(get("nasbench101"), torch.rand(2, 3, 8, 8), samples=10, seed=1, fidelities=small)


@pytest.mark.parametrize("text", PUBLISHED)
def test_published_hashes_and_parameter_counts(text: str) -> None:
    assert (SPACE.canonical(SPACE.parse(text)), parameters(text)) == PUBLISHED[text]


def test_every_cell_of_the_sample_has_its_published_hash_and_parameters() -> None:
    path = SHARED / "data/nasbench101-sample.json"
    if not path.exists():
        pytest.skip("needs ../shared/data/nasbench101-sample.json, which is not part of the repository")
    for cell in json.loads(path.read_text()):
        arch = SPACE.from_matrix(cell["adjacency"], cell["operations"])
        assert SPACE.canonical(arch) == cell["hash"]
        assert parameters(str(arch)) == cell["trainable_parameters"]


def test_there_are_as_many_cells_as_published() -> None:
    """Counted without listing them: each shape has 3^cycles labellings fixed by each of its symmetries."""
    cells = 0.0
    for vertices in range(2, 8):
        orders = [(0, *inner, vertices - 1) for inner in itertools.permutations(range(1, vertices - 1))]
        for shape in edge_sets(vertices, 9):
            upwards = [order for order in orders if all(order[s] < order[t] for s, t in shape)]
            fixed = [order for order in upwards if {(order[s], order[t]) for s, t in shape} == set(shape)]
            cells += sum(3 ** cycles(order) for order in fixed) / len(upwards)
    assert round(cells, 6) == SPACE.size == 423_624


def cycles(order: tuple[int, ...]) -> int:
    """Cycles of a permutation, those of the first and last vertex left out."""
    left, count = set(order[1:-1]), 0
    while left:
        count += 1
        vertex = next(iter(left))
        while vertex in left:
            left.remove(vertex)
            vertex = order[vertex]
    return count


def test_iteration_yields_small_cells_first_and_no_twins() -> None:
    first = list(islice(SPACE, 91))
    assert Counter(dict(arch.choices)["vertices"] for arch in first) == {2: 1, 3: 6, 4: 84}
    assert len({SPACE.canonical(arch) for arch in first}) == 91
    assert all(SPACE.parse(str(arch)) == arch for arch in first)


def test_samples_are_as_large_as_the_cells_of_the_space() -> None:
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample(rng) for _ in range(400)]
    sizes = Counter(dict(arch.choices)["vertices"] for arch in drawn)
    assert sizes[7] / 400 == pytest.approx(359_082 / 423_624, abs=0.06)
    assert sizes[6] / 400 == pytest.approx(62_010 / 423_624, abs=0.06)
    assert len({SPACE.canonical(arch) for arch in drawn}) > 395


def test_steps_lead_from_the_empty_cell_to_every_small_one() -> None:
    small = {SPACE.canonical(arch) for arch in islice(SPACE, 91)}
    found = {SPACE.canonical(empty): empty for empty in [SPACE.parse("output~0")]}
    ahead = [*found.values()]
    while ahead:
        for near in SPACE.neighbors(ahead.pop()):
            if dict(near.choices)["vertices"] <= 4 and SPACE.canonical(near) not in found:
                found[SPACE.canonical(near)] = near
                ahead.append(near)
    assert found.keys() == small


def test_neighbours_by_hand() -> None:
    near = [str(arch) for arch in SPACE.neighbors(SPACE.parse("conv1x1~0|output~1"))]
    assert near == [
        "conv1x1~0|output~01",
        "conv3x3~0|output~1",
        "maxpool3x3~0|output~1",
        *[f"{operation}~0|conv1x1~01|output~2" for operation in ("conv3x3", "conv1x1", "maxpool3x3")],
        *[f"conv1x1~0|{operation}~0|output~12" for operation in ("conv3x3", "conv1x1", "maxpool3x3")],
        *[f"conv1x1~0|{operation}~1|output~12" for operation in ("conv3x3", "conv1x1", "maxpool3x3")],
    ]


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_a_child_takes_each_edge_and_operation_from_a_parent(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (SPACE.encode(SPACE.sample(rng)) for _ in range(2))
    rng = np.random.default_rng(seed)
    child = SPACE.encode(SPACE.crossover(SPACE.sample(rng), SPACE.sample(rng), rng))
    assert child.shape == (36,)
    if child[21:].sum() == 5:  # with a vertex pruned, those after it have other numbers
        assert (child <= np.maximum(a, b)).all()
        assert (child[:21] >= np.minimum(a, b)[:21]).all()


def test_a_matrix_loses_its_dead_vertices() -> None:
    matrix = [[0, 1, 1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    names = ["input", "conv3x3-bn-relu", "maxpool3x3", "conv1x1-bn-relu", "output"]
    assert SPACE.from_matrix(matrix, names) == SPACE.parse("maxpool3x3~0|output~01")
    short = [name.removesuffix("-bn-relu") for name in names]
    assert SPACE.from_matrix(np.array(matrix), short) == SPACE.parse("maxpool3x3~0|output~01")


@pytest.mark.parametrize(
    ("matrix", "operations", "message"),
    [
        ([[0, 0], [0, 0]], ["input", "output"], "is no cell of space nasbench101: the input must reach the output"),
        ([[0, 1], [1, 0]], ["input", "output"], "0 up to its diagonal"),
        ([[0, 1], [0]], ["input", "output"], "a row and a column for each operation"),
        ([[0]], ["input"], "for 1 operations"),
        ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "conv5x5-bn-relu", "output"], "unknown operation 'conv5x5'"),
        (np.triu(np.ones((6, 6)), 1).tolist(), ["input", *["conv3x3"] * 4, "output"], "7 vertices and 9 edges"),
    ],
)
def test_a_matrix_that_is_no_cell_is_refused(matrix: list, operations: list[str], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        SPACE.from_matrix(matrix, operations)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv3x3~0", "reads like 'conv3x3~0|maxpool3x3~01|output~02'"),
        ("conv3x3~|output~0", "but got 'conv3x3~|output~0'"),
        ("conv5x5~0|output~1", "unknown operation 'conv5x5'; did you mean 'conv3x3'"),
        ("conv3x3~1|output~1", "fed by itself or a later one"),
        (
            "conv3x3~0|conv3x3~0|output~1",
            "on no path from input to output, or sources out of order; write 'conv3x3~0|o",
        ),
        ("conv3x3~0|output~10", "write 'conv3x3~0|output~01'"),
        ("conv3x3~0|conv3x3~01|conv3x3~012|conv3x3~0123|output~4", "at most 7 vertices and 9 edges"),
        ("|".join([f"conv3x3~{i}" for i in range(6)] + ["output~6"]), "at most 7 vertices and 9 edges"),
    ],
)
def test_parse_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        SPACE.parse(text)


@settings(max_examples=50, deadline=None)
@given(seeds, st.sampled_from([8, 128, 256]))
def test_channels_are_shared_among_what_leads_to_the_output_and_never_grow(seed: int, outputs: int) -> None:
    text = str(SPACE.sample(np.random.default_rng(seed)))
    labels = [part.split("~")[0] for part in text.split("|")][:-1]
    dag = Dag(tuple(labels), frozenset(edges(text)))
    widths = vertex_channels(dag, outputs)
    ends = [widths[source] for source in dag.sources(dag.output) if source]
    assert not ends or (sum(ends) == outputs and max(ends) - min(ends) <= 1 and ends == sorted(ends, reverse=True))
    inner = [(widths[s], widths[t]) for s, t in dag.edges if s and t != dag.output]
    assert all(0 <= wide - narrow <= 1 and narrow > 0 for wide, narrow in inner)


def test_a_cell_computes_what_the_benchmark_says() -> None:
    """65 channels cut to 64 on the edge from vertex 1 to 2; the input projected to vertices 1 and 2 and the output."""
    dag = Dag(("conv3x3", "maxpool3x3"), frozenset({(0, 1), (1, 2), (0, 2), (1, 3), (2, 3), (0, 3)}))
    cell, x = Cell(dag, 3, 129), torch.rand(2, 3, 8, 8)
    first, second = cell.vertices
    one = first.operation(first.projection(x))
    two = nn.functional.max_pool2d(one[:, :64] + second.projection(x), 3, 1, 1)
    assert (one.shape[1], two.shape[1]) == (65, 64)
    assert torch.equal(cell(x), torch.cat([one, two], dim=1) + cell.projection(x))


def test_the_cell_without_vertices_is_a_projection() -> None:
    cell, x = Cell(Dag((), frozenset({(0, 1)})), 3, 8), torch.rand(2, 3, 4, 4)
    assert torch.equal(cell(x), cell.projection(x))


def test_the_network_has_the_stacks_of_the_benchmark() -> None:
    network = SPACE.build(SPACE.parse("conv1x1~0|output~1"))
    assert [type(layer) for layer in network.cells] == [*[Cell] * 3, *[nn.MaxPool2d, *[Cell] * 3] * 2]
    shapes_seen = []
    for layer in [network.stem, *network.cells]:
        layer.register_forward_hook(lambda *call: shapes_seen.append(tuple(call[2].shape[1:])))
    assert network(torch.rand(1, 3, 8, 8)).shape == (1, 10)
    assert [s[0] for s in shapes_seen] == [*[128] * 5, *[256] * 3, 256, *[512] * 3]
    assert [s[1] for s in shapes_seen] == [*[8] * 4, *[4] * 4, *[2] * 4]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.003)}


def test_first_weights_have_the_variance_of_the_benchmark() -> None:
    network = initialise(partial(SPACE.build, SPACE.parse("conv3x3~0|output~1"), Fidelity(depth=0.1)), 0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            deviation = 1 / math.sqrt(module.weight[0].numel())
            assert module.weight.std().item() == pytest.approx(deviation, rel=0.05)
            assert module.weight.abs().max() <= 2 * deviation / 0.879
    assert network.classifier.weight.abs().max() <= math.sqrt(6 / (512 + 10))
    assert not network.classifier.bias.any()


@settings(max_examples=8, deadline=None)
@given(seed=seeds, resolution=st.integers(1, 12), classes=st.integers(1, 5), channels=st.sampled_from([1, 3]))
def test_every_member_runs_on_images_of_any_size(seed: int, resolution: int, classes: int, channels: int) -> None:
    shipped = get("nasbench101", classes=classes, in_channels=channels, resolution=resolution)
    assert isinstance(shipped, NASBench101)
    arch = shipped.sample(np.random.default_rng(seed))
    network = initialise(partial(shipped.build, arch, Fidelity(0.01, 0.1)), 0)
    outputs = network(torch.rand(2, channels, resolution, resolution))
    assert outputs.shape == (2, classes)
    assert torch.isfinite(outputs).all()


def test_fidelity_scales_channels_and_cells() -> None:
    text = "conv1x1~0|output~1"
    assert parameters(text, Fidelity(depth=0.34)) < parameters(text) / 2
    network = SPACE.build(SPACE.parse(text), Fidelity(width=0.5, depth=0.3))
    assert (network.stem[0].out_channels, network.classifier.in_features, len(network.cells)) == (64, 256, 5)
    assert SPACE.build(SPACE.parse(text), Fidelity(width=0.001)).stem[0].out_channels == 8


@pytest.mark.parametrize("wrong", [{"classes": 0}, {"in_channels": 0}])
def test_refuses_images_it_cannot_serve(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="classes >= 1 and in_channels >= 1"):
        get("nasbench101", **wrong)
