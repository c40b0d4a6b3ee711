"""Spaces `transnas_micro` and `transnas_macro`: sizes of networks, twins, codes."""

from __future__ import annotations

import ast
import csv
import statistics
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.spaces import FULL, Fidelity, SearchSpace, get
from zerocost.testing.spaces import check_space

SAMPLE = Path(__file__).parents[2].parent / "shared" / "data" / "transnas101-micro-class-object-sample.csv"


def parameters(space: SearchSpace, code: str, fidelity: Fidelity = FULL) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in space.build(space.parse(code), fidelity).parameters())


@pytest.mark.parametrize("name", ["transnas_micro", "transnas_macro"])
def test_contract(name: str) -> None:
    check_space(get(name), torch.rand(2, 3, 16, 16), samples=6, fidelities=(Fidelity(0.25, 0.5, 8),))


@pytest.mark.parametrize(
    ("code", "count"),
    [  # what the benchmark's own code builds for its 75 classes of objects
        ("64-41414-1_02_333", 22_559_083),
        ("64-1234-basic", 3_419_499),
    ],
)
def test_parameters_of_the_examples_in_the_benchmarks_own_documentation(code: str, count: int) -> None:
    space = get("transnas_macro" if code.endswith("basic") else "transnas_micro", classes=75)
    assert parameters(space, code) == count


def test_parameters_of_cells_add_up() -> None:
    """Each edge of each of the ten cells counted by hand."""

    def convolution(inputs: int, outputs: int, kernel: int) -> int:
        return kernel**2 * inputs * outputs + 2 * outputs

    stem = convolution(3, 32, 3) + convolution(32, 64, 3)
    shapes, channels = [], 64
    for module in "41414":
        outputs = channels * 2 if module == "4" else channels
        shapes += [(channels, outputs), (outputs, outputs)]
        channels = outputs
    space = get("transnas_micro", classes=75)
    for arch in [space.sample(np.random.default_rng(seed)) for seed in range(10)]:
        total = stem + 75 * channels + 75
        for inputs, outputs in shapes:
            for edge, operation in arch.choices:
                entering = inputs if edge.endswith("<-0") else outputs
                if operation in ("conv_1x1", "conv_3x3"):
                    total += convolution(entering, outputs, int(operation[-1]))
                elif operation == "skip_connect" and entering != outputs:
                    total += convolution(entering, outputs, 1)
        assert parameters(space, str(arch)) == total, arch


def test_sizes_are_the_published_ones() -> None:
    assert len(set(get("transnas_micro"))) == get("transnas_micro").size == 4096
    macro = get("transnas_macro")
    assert len(set(macro)) == macro.size == 3256
    lengths = Counter(dict(arch.choices)["modules"] for arch in macro)
    assert lengths == {4: 210, 5: 750, 6: 2296}


def test_sampling_macro_is_uniform() -> None:
    space, rng = get("transnas_macro"), np.random.default_rng(0)
    lengths = Counter(dict(space.sample(rng).choices)["modules"] for _ in range(1000))
    assert lengths[4] < 100 < lengths[5] < lengths[6]


def test_every_skeleton_is_reached_by_mutation() -> None:
    space = get("transnas_macro")
    seen = {next(iter(space))}
    fresh = list(seen)
    while fresh:
        near = set(space.neighbors(fresh.pop())) - seen
        seen |= near
        fresh += near
        if len(seen) == space.size:
            break
    assert len(seen) == space.size


def test_twins_of_cells() -> None:
    space = get("transnas_micro")

    def key(cell: str) -> str:
        return space.canonical(space.parse(f"64-41414-{cell}"))

    assert key("3_00_000") == key("2_00_000") == key("0_03_022")  # nothing comes out
    assert key("0_00_300") == key("3_00_010") == key("3_33_300") == key("2_30_001") != key("0_00_200")
    assert key("3_20_011") == key("2_30_011")
    assert key("1_00_030") != key("0_00_300")  # a skip of the input halves the image and learns
    assert key("3_01_011") != key("3_30_011")  # one convolution twice, two convolutions
    assert len({space.canonical(arch) for arch in space}) == 1376


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE} is not there")
def test_twins_were_trained_to_the_same_accuracy() -> None:
    """Within the noise of training; accuracies of the whole sample differ by 20 points and more."""
    space, groups = get("transnas_micro"), defaultdict(list)
    for row in csv.DictReader(SAMPLE.read_text().splitlines()):
        code = "64-41414-{}_{}{}_{}{}{}".format(*ast.literal_eval(row["arch"]))
        groups[space.canonical(space.parse(code))].append(float(row["validation_accuracy"]))
    spreads = [statistics.pstdev(accuracies) for accuracies in groups.values() if len(accuracies) > 1]
    assert len(spreads) > 20
    assert max(spreads) < 2
    assert statistics.pstdev([a for accuracies in groups.values() for a in accuracies]) > 5


def test_fidelity_scales_channels_and_blocks() -> None:
    space = get("transnas_macro")
    network = space.build(space.parse("64-1234-basic"), Fidelity(0.25, 0.5))
    assert network.stem[0].out_channels == 8
    assert [len(stage) for stage in network.stages] == [1, 1, 1, 1]
    assert network.classifier.in_features == 64
    assert parameters(space, "64-1234-basic", Fidelity(depth=0.9)) == parameters(space, "64-1234-basic")


@pytest.mark.parametrize("name", ["transnas_micro", "transnas_macro"])
@pytest.mark.parametrize("size", [8, 30, 65])
def test_classes_channels_and_size_of_images(name: str, size: int) -> None:
    space, rng = get(name, classes=3, in_channels=1), np.random.default_rng(0)
    for _ in range(5):
        network = space.build(space.sample(rng), Fidelity(width=0.1))
        assert network(torch.rand(2, 1, size, size)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("transnas_micro", "64-1234-basic", "reads like '64-41414-1_02_333', with six digits from 0 to 3"),
        ("transnas_micro", "64-41414-1_02_334", "but got '64-41414-1_02_334'"),
        ("transnas_micro", "16-41414-1_02_333", "transnas_micro reads like"),
        ("transnas_macro", "64-41414-1_02_333", "reads like '64-1234-basic', with four to six digits from 1 to 4"),
        ("transnas_macro", "64-123-basic", "four to six digits"),
        ("transnas_macro", "64-1111-basic", "doubles the channels one to three times"),
        ("transnas_macro", "64-4444-basic", r"doubles the channels one to three times .* but got '64-4444-basic'"),
    ],
)
def test_parse_says_what_is_wrong(name: str, code: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get(name).parse(code)


@pytest.mark.parametrize("name", ["transnas_micro", "transnas_macro"])
def test_refuses_images_it_cannot_serve(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} needs classes >= 1 and in_channels >= 1"):
        get(name, classes=0)
