"""Space `macro`: the published parameters and FLOPs, twins, its codes."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from zerocost.base.errors import InputError
from zerocost.scoring.candidates import initialise
from zerocost.spaces import Fidelity, SearchSpace, get
from zerocost.testing.spaces import check_space

SAMPLE = Path(__file__).parents[2].parent / "shared" / "data" / "nasbench-macro-cifar10-sample.json"
PUBLISHED = {  # parameters, multiply-adds
    "01111202": (1_769_258, 54_194_688),
    "20101200": (828_970, 37_892_608),
    "22120201": (1_408_682, 66_634_240),
    "00201010": (971_818, 30_155_264),
}


def counts(space: SearchSpace, code: str) -> tuple[int, int]:
    with torch.device("meta"):
        network = space.build(space.parse(code))
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, 32, 32))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2


def test_contract() -> None:
    check_space(get("macro"), samples=8, fidelities=(Fidelity(width=0.5), Fidelity(0.25, 1, 16)))


@pytest.mark.parametrize("code", PUBLISHED)
def test_parameters_and_flops_are_the_published_ones(code: str) -> None:
    assert counts(get("macro"), code) == PUBLISHED[code]


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE} is not there")
def test_parameters_of_the_published_sample() -> None:
    published = json.loads(SAMPLE.read_text())
    space = get("macro")
    for code in list(published)[::5]:
        with torch.device("meta"):
            network = space.build(space.parse(code))
        assert sum(p.numel() for p in network.parameters()) == published[code]["params"], code


def test_twins_are_3969_and_compute_the_same() -> None:
    space = get("macro")
    assert space.size == 6561 == len(set(space))
    groups = Counter(space.canonical(arch) for arch in space)
    assert len(groups) == 3969
    assert all(space.canonical(space.parse(key)) == key for key in groups)
    images = torch.rand(2, 3, 16, 16)
    for a, b in [("01102000", "01120000"), ("10102202", "10120220"), ("00000102", "00000120")]:
        assert space.canonical(space.parse(a)) == space.canonical(space.parse(b))
        outputs = [initialise(partial(space.build, space.parse(code)), 0)(images) for code in (a, b)]
        assert torch.allclose(*outputs)
    assert space.canonical(space.parse("01000000")) != space.canonical(space.parse("10000000"))


def test_classes_channels_and_size_of_images() -> None:
    space = get("macro", classes=3, in_channels=1)
    network = space.build(space.sample(np.random.default_rng(0)), Fidelity(width=0.1))
    for size in (9, 28, 32):
        assert network(torch.rand(2, 1, size, size)).shape == (2, 3)


def test_depth_cannot_be_scaled() -> None:
    space = get("macro")
    with pytest.raises(InputError, match=r"cannot be built at depth=0\.5: each of its layers is a choice"):
        space.build(next(iter(space)), Fidelity(depth=0.5))


@pytest.mark.parametrize("code", ["", "0120120", "012012012", "01201203", "0120 120", "layer1=identity"])
def test_parse_says_what_a_code_is(code: str) -> None:
    with pytest.raises(InputError, match=r"is 8 digits 0, 1 or 2, such as '01111202', but got"):
        get("macro").parse(code)


@pytest.mark.parametrize("settings", [{"classes": 0}, {"in_channels": 0}])
def test_refuses_images_it_cannot_serve(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="classes >= 1 and in_channels >= 1"):
        get("macro", **settings)
