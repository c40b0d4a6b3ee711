from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocost.base.conditions import join_clauses, parse_clauses
from zerocost.base.errors import InputError

numbers = st.integers(-3, 3).map(float)
sides = st.recursive(
    st.sampled_from(["a", "b", "2", "0.5"]),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner) | inner.map("-{}".format),
    max_leaves=4,
)
comparisons = st.builds("{} {} {}".format, sides, st.sampled_from(["<", "<=", ">", ">="]), sides)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner) | inner.map("(not {})".format)
    ),
    max_leaves=4,
)


@given(conditions, st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4))
def test_a_condition_means_what_it_means_in_python(where: str, rows: list[tuple[float, float]]) -> None:
    expected = [eval(where, {"a": a, "b": b}) for a, b in rows]
    columns = dict(zip("ab", np.array(rows).T, strict=True))
    found = np.ones(len(rows), dtype=bool)
    for clause in parse_clauses(where):
        found &= clause.holds(columns)
        assert [bool(clause.holds({"a": a, "b": b})) for a, b in rows] == np.broadcast_to(
            clause.holds(columns), len(rows)
        ).tolist()
    assert found.tolist() == expected


@given(st.lists(conditions, min_size=1, max_size=4), numbers, numbers)
def test_clauses_joined_again_mean_the_same(parts: list[str], a: float, b: float) -> None:
    where = " and ".join(parts)
    again = join_clauses(parse_clauses(where))
    assert again is not None
    assert eval(again, {"a": a, "b": b}) == eval(where, {"a": a, "b": b})


@pytest.mark.parametrize("where", ["a < 1", "a > 1", "not a < 1", "not a > 1", "a + b < 1", "not (a < 1 and b < 1)"])
def test_what_is_not_known_passes_no_condition_on_it(where: str) -> None:
    assert not parse_clauses(where)[0].holds({"a": math.nan, "b": 0.0})


def test_texts_are_as_they_were_written() -> None:
    assert [clause.text for clause in parse_clauses(" params < 4e5 and  (snip>1 or\tb < 2)")] == [
        "params < 4e5",
        "snip>1 or\tb < 2",
    ]
    assert join_clauses([]) is None


def test_division_by_nothing_is_no_warning() -> None:
    assert parse_clauses("a / b > 5")[0].holds({"a": np.array([1.0, 0.0]), "b": np.array([0.0, 0.0])}).tolist() == [
        True,
        False,
    ]


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="conditions are a text, but got 3; write for example"):
        parse_clauses(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["", "a <", "import os", "a < 1; b"])
def test_what_cannot_be_read_is_refused(where: str) -> None:
    with pytest.raises(InputError, match="cannot read the condition"):
        parse_clauses(where)
