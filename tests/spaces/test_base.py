"""Architectures as values; drawing distinct ones from any space."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import nn

from zerocost.base.errors import InputError
from zerocost.spaces import Architecture, ChoiceSpace, Choose, SearchSpace, distinct, get, names


class Mirrored(ChoiceSpace):
    """Pairs of digits in which (a, b) and (b, a) are twins."""

    def __init__(self, high: int) -> None:
        super().__init__("mirrored", lambda choose: (choose.int("a", 0, high), choose.int("b", 0, high)), _nothing)

    def canonical(self, arch: Architecture) -> str:
        return str(sorted(value for _, value in arch.choices))


def _nothing(choose: Choose, fidelity: object) -> nn.Module:
    return nn.Identity()


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_an_architecture_is_its_text() -> None:
    a, b = Architecture("x=1", (("x", 1),)), Architecture("x=1", ())
    assert a == b
    assert len({a, b}) == 1
    assert str(a) == "x=1"
    assert sorted([Architecture("b", ()), Architecture("a", ())])[0].text == "a"
    assert pickle.loads(pickle.dumps(a)).choices == (("x", 1),)
    with pytest.raises(AttributeError):
        a.text = "x=2"


def test_distinct_gives_as_many_as_asked_without_twins() -> None:
    space = Mirrored(9)
    drawn = distinct(space, 30, rng())
    assert len({space.canonical(a) for a in drawn}) == len(drawn) == 30
    assert drawn == distinct(space, 30, rng())
    assert drawn != distinct(space, 30, np.random.default_rng(1))


@pytest.mark.parametrize("n", [55, 56, 10_000])
def test_distinct_gives_all_there_are_when_that_is_not_enough(n: int) -> None:
    space = Mirrored(9)
    assert {space.canonical(a) for a in distinct(space, n, rng())} == {space.canonical(a) for a in space}


def test_distinct_finds_what_sampling_hardly_ever_draws() -> None:
    """Sampling reaches the deepest of these forty architectures once in 2³⁹ draws."""

    def chain(choose: Choose) -> None:
        next(i for i in range(40) if i == 39 or choose.bool(f"stop{i}"))

    space = ChoiceSpace("chain", chain, _nothing)
    assert len(distinct(space, 40, rng())) == 40


def test_distinct_of_none_is_none() -> None:
    assert distinct(Mirrored(3), 0, rng()) == []


SIZES = {
    "mlp": {"features": 5, "outputs": 7},
    "tcn": {"features": 5, "outputs": 7},
    "gpt": {"vocabulary": 9},
    "bert": {"vocabulary": 9, "classes": 7},
}


@pytest.mark.parametrize("name", ["cnn", "darts", "macro", "nasbench101", "nasbench201", "transnas_macro"])
@pytest.mark.parametrize("given", ["text", None, 3, ["text"]])
def test_what_is_no_architecture_is_refused_with_a_reason(name: str, given: Any) -> None:
    space, rng = get(name), np.random.default_rng(0)
    good = space.sample(rng)
    given = str(good) if given == "text" else given
    uses: list[Callable[[], object]] = [
        lambda: space.build(given),
        lambda: space.encode(given),
        lambda: space.canonical(given),
        lambda: next(space.neighbors(given)),
        lambda: space.mutate(given, rng),
        lambda: space.crossover(given, good, rng),
        lambda: space.crossover(good, given, rng),
    ]
    for use in uses:
        with pytest.raises(InputError, match=r"an Architecture is expected, as space\.parse\(text\) .* but got"):
            use()


@pytest.mark.parametrize("name", ["cnn", "darts", "macro", "nasbench101", "nasbench201", "vit"])
def test_an_architecture_of_another_space_is_refused_with_a_reason(name: str) -> None:
    space, rng = get(name), np.random.default_rng(0)
    other, good = get("nats_size").sample(rng), space.sample(rng)
    uses: list[Callable[[Architecture], object]] = [
        space.build,
        space.encode,
        lambda arch: next(space.neighbors(arch)),
        lambda arch: space.mutate(arch, rng),
        lambda arch: space.crossover(arch, good, rng),
        lambda arch: space.crossover(good, arch, rng),
    ]
    for use in uses:
        with pytest.raises(InputError):
            use(other)
    with pytest.raises(InputError, match="is 8 digits 0, 1 or 2"):
        get("macro").canonical(other)


@pytest.mark.parametrize("name", ["cnn", "darts", "nasbench101"])
def test_a_fidelity_may_be_a_text(name: str) -> None:
    space = get(name)
    arch = space.sample(np.random.default_rng(0))
    few, all_ = (sum(p.numel() for p in space.build(arch, scale).parameters()) for scale in ("width=0.25", "full"))  # type: ignore[arg-type]
    assert few < all_
    with pytest.raises(InputError, match="unknown fidelity setting 'wdth'; did you mean 'width'"):
        space.build(arch, "wdth=0.25")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["cnn", "macro", "nasbench101"])
def test_what_is_no_text_is_not_parsed(name: str) -> None:
    space = get(name)
    for given in (None, 3, space.sample(np.random.default_rng(0))):
        with pytest.raises(InputError, match="the text of an architecture is expected, but got"):
            space.parse(given)  # type: ignore[arg-type]


def test_shipped_spaces_are_had_by_name() -> None:
    for name in names():
        space = get(name, **SIZES.get(name, {"classes": 7, "in_channels": 1, "resolution": 16}))
        assert isinstance(space, SearchSpace)
        assert space.name == name
    with pytest.raises(InputError, match=r"unknown space 'cnnn'; did you mean 'cnn'"):
        get("cnnn")
    with pytest.raises(InputError, match=r"such as mine.py:space, but got 'mine.py'"):
        get("mine.py")
    with pytest.raises(InputError, match="name must be that of a space, such as 'cnn', but got 3"):
        get(3)  # type: ignore[arg-type]
