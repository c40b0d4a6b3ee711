from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zerocost.base import format as fmt


@given(st.floats(-1e307, 1e307, allow_subnormal=False))
def test_number_is_short_and_close(value):
    text = fmt.number(value)
    read = float(text.replace("−", "-").replace(",", ""))
    assert len(text) <= 10
    assert math.isclose(read, value, rel_tol=6e-3)


@given(st.floats(0, 1e15))
def test_count_is_short_and_close(value):
    text = fmt.count(round(value))
    amount, _, prefix = text.partition(fmt.SPACE)
    scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[prefix]
    assert math.isclose(float(amount) * scale, round(value), rel_tol=0.05)
    assert prefix == "G" or len(text) <= 7


@pytest.mark.parametrize("write", [fmt.number, fmt.fixed, fmt.count, fmt.percent])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_no_value_is_a_dash(write, value):
    assert write(value) == fmt.MISSING


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("partial_params", -0.431, "−0.431"),
        ("partial_flops", -1.0, "−1"),
        ("rel_flops", 0.625, "0.625"),
        ("params", 0.0, "0"),
        ("params", 1_234_567.5, "1.2 M"),
        ("params", math.nan, fmt.MISSING),
        ("params", None, fmt.MISSING),
    ],
)
def test_only_counts_are_written_as_counts(name, value, text):
    assert fmt.formatter_for(name)(value).replace(fmt.SPACE, " ") == text


@given(st.floats(0, 1e6))
@example(59.96)
@example(3599.7)
def test_seconds_never_show_sixty_of_the_smaller_unit(value):
    parts = fmt.seconds(value).split(fmt.SPACE)
    shown = dict(zip(parts[1::2], map(float, parts[::2]), strict=True))
    assert shown.get("s", 0) < 60
    assert shown.get("min", 0) < 60


@given(st.text("ab é…", max_size=90), st.integers(3, 60))
def test_shorten_keeps_the_limit_and_both_ends(name, limit):
    short = fmt.shorten(name, limit)
    assert len(short) <= limit
    assert short == name if len(name) <= limit else short[0] == name[0] and short[-1] == name[-1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((), "none"),
        ({}, "none"),
        ({"b", "a"}, "a, b"),
        ({"sgd": {"lr": 0.1}, "seeds": [0, 1]}, "sgd: lr: 0.1, seeds: 0, 1"),
        (False, "no"),
        (0, "0"),
        ("text", "text"),
    ],
)
def test_setting(value, text):
    assert fmt.setting_text(value) == text
