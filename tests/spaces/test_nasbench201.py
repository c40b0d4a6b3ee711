"""Space `nasbench201`: the cells, their order and twins, and the networks the benchmark trained."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import re
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocost.base.errors import InputError
from zerocost.scoring.candidates import initialise
from zerocost.spaces import FULL, Fidelity, get
from zerocost.spaces.nasbench201 import EDGES, OPERATIONS, Cell, CellNetwork, Reduction
from zerocost.testing.spaces import check_space

SHARED = Path(__file__).parents[2].parent / "shared"
SPACE = get("nasbench201")
PUBLISHED = {
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|": 73_306,
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|": 129_306,
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|": 802_426,
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|": 1_531_546,
}


def parameters(text: str, classes: int = 10) -> int:
    space = get("nasbench201", classes=classes)
    with torch.device("meta"):
        return sum(p.numel() for p in space.build(space.parse(text)).parameters())


def text(*operations: str) -> str:
    return "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*operations)


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"needs ../shared/{name}, which is not part of the repository")
    return SHARED / name


def test_contract() -> None:
    check_space(SPACE, torch.rand(2, 3, 8, 8), samples=4, fidelities=(Fidelity(width=0.5), Fidelity(1.0, 0.2, 4)))


def test_iteration_follows_the_index_of_the_benchmark() -> None:
    order = [str(arch) for arch in SPACE]
    assert len(set(order)) == len(order) == SPACE.size == 15_625
    assert order[0] == [*PUBLISHED][1]
    assert order[1] == [*PUBLISHED][2]
    assert order[9] == text("avg_pool_3x3", "none", "none", "skip_connect", "none", "nor_conv_3x3")
    assert order[123] == text("avg_pool_3x3", "avg_pool_3x3", "nor_conv_1x1", "none", "avg_pool_3x3", "nor_conv_3x3")
    assert order[15_624] == text("nor_conv_1x1", "none", "nor_conv_1x1", "none", "nor_conv_1x1", "nor_conv_1x1")


def test_the_published_index_is_reproduced() -> None:
    with shared("data/nasbench201-cifar10.csv").open() as file:
        assert [row["arch"] for row in csv.DictReader(file)] == [str(arch) for arch in SPACE]


def test_as_many_distinct_cells_as_published() -> None:
    assert len({SPACE.canonical(arch) for arch in SPACE}) == 6466


def test_what_leads_nowhere_makes_no_difference() -> None:
    dead = {text(a, b, c, "nor_conv_3x3", "none", "none") for a, b, c in itertools.product(OPERATIONS, repeat=3)}
    assert len({SPACE.canonical(SPACE.parse(cell)) for cell in dead}) == 1


def test_the_order_of_a_sum_makes_no_difference_and_its_terms_do() -> None:
    pairs = itertools.product(OPERATIONS, repeat=2)
    keys = {(a, b): SPACE.canonical(SPACE.parse(text("skip_connect", "none", "none", a, b, "none"))) for a, b in pairs}
    assert all(keys[a, b] == keys[b, a] for a, b in keys)
    assert len(set(keys.values())) == 15


@pytest.mark.parametrize(("cell", "expected"), PUBLISHED.items())
def test_published_parameter_counts(cell: str, expected: int) -> None:
    assert parameters(cell) == expected
    assert parameters(cell, classes=100) == expected + 90 * 65


def test_every_published_parameter_count() -> None:
    """They depend on how many edges have a convolution of each size alone; one cell of each such kind is built."""
    with shared("data/nasbench201-cifar10-suite-zero-scores.csv").open() as file:
        published = {row["arch"]: float(row["params"]) for row in csv.DictReader(file)}
    convolutions = {cell: (cell.count("1x1"), cell.count("_conv_3x3")) for cell in published}
    built = {counts: parameters(cell) / 1e6 for counts, cell in {v: k for k, v in convolutions.items()}.items()}
    assert len(published) == 9445
    assert all(millions == float(f"{built[convolutions[cell]]:.6g}") for cell, millions in published.items())


def written_out() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cases", shared("reference/cases.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_network_is_the_one_written_out() -> None:
    cases = written_out()
    images = torch.rand(2, 3, 16, 16)
    for cell in cases.NB201_ARCHS[::3]:
        ours, theirs = SPACE.build(SPACE.parse(cell)), cases.NB201Net(cell)
        assert [*ours.state_dict()] == [*theirs.state_dict()]
        assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
        theirs.load_state_dict(ours.state_dict())
        assert torch.equal(ours(images), theirs(images))


def test_the_network_is_made_of_blocks_in_the_order_of_the_benchmark() -> None:
    network = SPACE.build(SPACE.parse(text(*["nor_conv_3x3"] * 6)))
    assert [*dict(network.named_children())] == ["stem", "cells", "lastact", "global_pooling", "classifier"]
    assert [type(cell) for cell in network.cells] == [Cell] * 5 + [Reduction] + [Cell] * 5 + [Reduction] + [Cell] * 5
    names = [name for name, _ in network.cells[5].named_parameters()]
    convolutions = [f"conv_{part}.op.1.weight" for part in "ab"]
    assert [name for name in names if name in convolutions or "down" in name] == [*convolutions, "downsample.1.weight"]


def test_a_reduction_runs_its_body_before_its_shortcut() -> None:
    block = Reduction(4, 8)
    ran = []
    for name, part in block.named_children():
        part.register_forward_hook(lambda *_, name=name: ran.append(name))
    block(torch.rand(1, 4, 8, 8))
    assert ran == ["conv_a", "conv_b", "downsample"]


def test_a_cell_sums_its_edges() -> None:
    images = torch.rand(2, 3, 8, 8)
    operations = ["skip_connect", "none", "avg_pool_3x3", "skip_connect", "skip_connect", "skip_connect"]
    average = torch.nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    assert torch.allclose(Cell(operations, 3, 3)(images), 2 * images + average)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    resolution=st.integers(1, 20),
    classes=st.integers(1, 5),
    channels=st.sampled_from([1, 3]),
    width=st.sampled_from([0.1, 0.5]),
    depth=st.sampled_from([0.1, 0.4]),
)
def test_every_member_runs_on_images_of_any_size(
    seed: int, resolution: int, classes: int, channels: int, width: float, depth: float
) -> None:
    space = get("nasbench201", classes=classes, in_channels=channels, resolution=resolution)
    arch = space.sample(np.random.default_rng(seed))
    network = initialise(partial(space.build, arch, Fidelity(width, depth)), 0)
    outputs = network(torch.rand(2, channels, resolution, resolution))
    assert outputs.shape == (2, classes)
    assert torch.isfinite(outputs).all()


def test_fidelity_scales_channels_and_cells() -> None:
    def shape(fidelity: Fidelity) -> tuple[int, int, int]:
        network = SPACE.build(SPACE.parse(text(*["nor_conv_1x1"] * 6)), fidelity)
        assert isinstance(network, CellNetwork)
        return network.stem[0].out_channels, network.classifier.in_features, len(network.cells)

    assert shape(FULL) == (16, 64, 17)
    assert shape(Fidelity(width=0.5)) == (8, 32, 17)
    assert shape(Fidelity(width=0.01)) == (4, 16, 17)
    assert shape(Fidelity(depth=0.4)) == (16, 64, 8)
    assert shape(Fidelity(depth=0.01)) == (16, 64, 5)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("|none~0|", "reads '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|', but got '|none~0|'"),
        (
            text("none", "none", "nor_conv_5x5", "none", "none", "none"),
            "unknown operation 'nor_conv_5x5'; did you mean",
        ),
        (text(*["none"] * 6) + "\n", "but got"),
    ],
)
def test_parse_says_what_is_wrong(cell: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        SPACE.parse(cell)


def test_choices_are_the_edges() -> None:
    arch = SPACE.parse(text(*OPERATIONS, "none"))
    assert [name for name, _ in arch.choices] == [f"{to}<-{source}" for source, to in EDGES]
    assert [operation for _, operation in arch.choices] == [*OPERATIONS, "none"]


@pytest.mark.parametrize("wrong", [{"classes": 0}, {"in_channels": 0}])
def test_refuses_images_it_cannot_serve(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="classes >= 1 and in_channels >= 1"):
        get("nasbench201", **wrong)
