from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocost.base.conditions import parse_clauses
from zerocost.base.errors import Failure, InputError
from zerocost.search.limits import Limits, split_conditions
from zerocost.spaces import Architecture

ARCH = Architecture("a", ())


class Counted:
    """A cost that says how often it was asked for."""

    def __init__(self, value: float | Failure) -> None:
        self.value, self.asked = value, 0

    def __call__(self, arch: Architecture) -> float | Failure:
        self.asked += 1
        return self.value


def costs(**values: float | Failure) -> dict[str, Counted]:
    return {name: Counted(value) for name, value in values.items()}


def check(where: str | None, *functions: Callable[[Architecture], object], **values: float | Failure) -> str | None:
    return Limits(where, costs(**values), functions).check(ARCH)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (None, None),
        ("params < 6e5", None),
        ("params < 4e5", "params < 4e5 is false: params = 531,010"),
        ("latency < 12 and params > 1e6", "params > 1e6 is false: params = 531,010"),
        ("params < 6e5 and latency < 12", "latency < 12 is false: latency = 12.25 ms"),
        ("params < 4e5 or latency < 12", "params < 4e5 or latency < 12 is false: params = 531,010, latency = 12.25 ms"),
        ("params < 4e5 or latency < 13", None),
        ("not latency < 13", "not latency < 13 is false: latency = 12.25 ms"),
        ("4e5 < params * 2 <= 1.1e6", None),
        ("1 > 2", "1 > 2 is false: "),
    ],
)
def test_the_reason_names_the_clause_and_the_numbers(where: str | None, reason: str | None) -> None:
    assert check(where, params=531_010.0, latency=12.25) == reason


def test_a_cost_is_asked_for_only_when_all_cheaper_limits_are_kept() -> None:
    known = costs(params=5.0, flops=7.0, latency=9.0)
    assert Limits("latency < 1 and flops < 1 and params < 1", known).check(ARCH) == "params < 1 is false: params = 5"
    assert [one.asked for one in known.values()] == [1, 0, 0]
    assert Limits("latency + params < 1 and flops < 1", known).check(ARCH) == "flops < 1 is false: flops = 7"
    assert [one.asked for one in known.values()] == [1, 1, 0]


def test_an_architecture_without_a_cost_keeps_to_no_limit_on_it() -> None:
    failed = Failure("building the network raised ValueError: no")
    for where in ("params < 9", "params > 9", "not params < 9"):
        assert check(where, params=failed) == f"{where} is false: params failed: {failed}"
    assert check("params < 9 or flops < 9", params=failed, flops=1.0) is None


def no_pool(arch: Architecture) -> bool:
    return "pool" not in arch.text


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(True, None), (None, None), (False, "limit <lambda> is not kept"), ("too ugly", "too ugly")],
)
def test_functions_answer_with_a_truth_value_or_a_reason(answer: object, reason: str | None) -> None:
    assert check(None, no_pool, lambda arch: answer) == reason


def test_functions_come_first() -> None:
    known = costs(params=5.0)
    assert Limits("params < 1", known, [lambda arch: False]).check(ARCH) == "limit <lambda> is not kept"
    assert known["params"].asked == 0


@pytest.mark.parametrize(
    ("function", "message"),
    [(lambda arch: 3, "must return True, False or a reason, but got 3 for a"), (lambda arch: 1 / 0, "ZeroDivision")],
)
def test_a_function_that_does_neither_is_named(function: Callable[[Architecture], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(None, function)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("parms < 3", "unknown cost 'parms'; did you mean 'params'"),
        ("params <", "cannot read the condition"),
        ("params", "as a condition"),
        ("params ** 2 < 3", "columns, numbers and"),
    ],
)
def test_a_condition_that_cannot_be_used_is_refused_at_once(where: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(where, params=1.0)


names = st.sampled_from(["snip", "params", "latency"])
atoms = st.builds("{} < {} * {}".format, names, st.integers(1, 9), names | st.just("2e3"))
conditions = st.lists(atoms | st.builds("({} or not {})".format, atoms, atoms), min_size=1, max_size=5)


@given(conditions, st.fixed_dictionaries({name: st.integers(0, 20) for name in ("snip", "params", "latency")}))
def test_both_parts_of_a_condition_together_say_what_it_says(parts: list[str], values: dict[str, int]) -> None:
    def holds(where: str | None) -> bool:
        return all(clause.holds(values) for clause in (parse_clauses(where) if where else []))

    where = " and ".join(parts)
    limits, rest = split_conditions(where, ["params", "latency"])
    assert (holds(limits) and holds(rest)) == holds(where)
    assert "snip" not in (limits or "")
    assert all("snip" in clause.names for clause in (parse_clauses(rest) if rest else []))


def test_nothing_splits_into_nothing() -> None:
    assert split_conditions(None, ["params"]) == (None, None)
    assert split_conditions("params < 3", ["params"]) == ("params < 3", None)
    assert split_conditions("snip < 3", ["params"]) == (None, "snip < 3")
