"""Fidelity: what it scales, how it is written down, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocost import spaces
from zerocost.base.errors import InputError
from zerocost.base.fidelity import PRESETS, as_fidelities, check_space, check_used
from zerocost.spaces import FULL, Fidelity

factors = st.floats(0, 1, exclude_min=True)
counts = st.none() | st.integers(1, 4096)
fidelities = st.builds(Fidelity, factors, factors, counts, counts)


@given(fidelities)
def test_text_round_trip(fidelity: Fidelity) -> None:
    assert Fidelity.parse(str(fidelity)) == fidelity


def test_full_is_the_default_and_named() -> None:
    assert Fidelity() == FULL
    assert str(FULL) == "full"
    assert Fidelity.parse(" full ") == FULL
    assert Fidelity.parse("width = 0.5, batch = 8") == Fidelity(width=0.5, batch=8)


def test_fidelities_come_one_by_one_or_in_one_text() -> None:
    both = (Fidelity(width=0.5), FULL)
    assert as_fidelities("width=0.5 > full") == as_fidelities(["width=0.5", FULL]) == as_fidelities(both) == both
    assert as_fidelities(FULL) == (FULL,)


@pytest.mark.parametrize("given", [3, True, b"full", object(), ["full", None]])
def test_what_is_no_fidelity_is_named(given: object) -> None:
    with pytest.raises(
        InputError, match=r"a fidelity is a zerocost\.Fidelity, or a text such as 'width=0\.5', but got"
    ):
        as_fidelities(given)


@pytest.mark.parametrize("name", PRESETS)
def test_the_name_of_a_space_stands_for_what_was_measured_in_it(name: str) -> None:
    preset = Fidelity.parse(f" {name} ")
    assert str(preset) == PRESETS[name] and preset != FULL
    space = spaces.get(name)
    assert space.build(space.sample(np.random.default_rng(0)), preset)
    with pytest.raises(InputError, match=f"{name} holds a fidelity of the space {name}, but the space is cifar"):
        check_space(f"{name} > full", "cifar", "")
    check_space([name, preset, "full"], name, "")
    with pytest.raises(InputError, match=f"of the space {name}, but the space is another of that name"):
        check_space(name, name, "code of the user's")


@pytest.mark.parametrize(
    ("given_batch", "batches"), [(None, [16]), (16, [16]), (32, [None]), (32, [16, None]), (16, [8, 16])]
)
def test_a_number_that_a_fidelity_leaves_open_or_repeats_is_used(given_batch, batches) -> None:
    check_used("batch", given_batch, [Fidelity(batch=batch) for batch in batches])


@pytest.mark.parametrize("batches", [[16], [8, 16]])
def test_a_number_that_no_fidelity_would_use_is_refused(batches) -> None:
    message = "batch=32 would not be used, as the fidelity says batch=16; leave batch out, or give the fidelity without"
    with pytest.raises(InputError, match=message):
        check_used("batch", 32, [Fidelity(batch=batch) for batch in batches])


@given(fidelities, st.integers(1, 512), st.sampled_from([1, 2, 4, 8]))
def test_channels_stay_between_the_least_and_the_full_number(fidelity: Fidelity, groups: int, multiple: int) -> None:
    full = groups * multiple
    scaled = fidelity.channels(full, multiple=multiple)
    assert min(4, full) <= scaled <= full
    assert scaled % multiple == 0


@given(fidelities, st.integers(0, 200))
def test_layers_stay_between_one_and_the_full_number(fidelity: Fidelity, full: int) -> None:
    assert min(1, full) <= fidelity.layers(full) <= full


@given(st.integers(0, 1000))
def test_full_scales_nothing(full: int) -> None:
    assert FULL.channels(full) == FULL.layers(full) == full


def test_scaling_rounds_to_the_nearest() -> None:
    assert Fidelity(width=0.5).channels(64) == 32
    assert Fidelity(width=0.3).channels(64) == 19
    assert [Fidelity(depth=0.5).layers(n) for n in (1, 2, 3, 4, 5)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width must be a number above 0 and at most 1, but got 0"),
        ({"depth": 1.5}, "depth must be a number above 0 and at most 1, but got 1.5"),
        ({"width": float("nan")}, "but got nan"),
        ({"width": "half"}, "but got 'half'"),
        ({"resolution": 0}, "resolution must be a positive whole number or None, but got 0"),
        ({"batch": 2.0}, "batch must be a positive whole number or None, but got 2.0"),
        ({"batch": True}, "but got True"),
    ],
)
def test_refuses_what_is_out_of_range(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Fidelity(**settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("widht=0.5", "did you mean 'width'"),
        ("0.5", "reads 'full', like 'width=0.5,resolution=16', or .*, but got '0.5'"),
        ("", "reads 'full'"),
        ("mlp", r"the name of a space with one that was measured \(.*nasbench201.*\), but got 'mlp'"),
        ("width=half", "width must be a number, but got 'half'"),
        ("resolution=16.5", "resolution must be a whole number, but got '16.5'"),
        ("width=0.5,width=0.5", "given twice"),
    ],
)
def test_parse_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Fidelity.parse(text)
