from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zerocost.base.conditions import parse_clauses
from zerocost.base.errors import Failure, InputError
from zerocost.search.limits import Limits, split_conditions
from zerocost.spaces import Architecture, from_function

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
    [
        *((yes, None) for yes in (True, None, np.True_)),
        *((no, "limit <lambda> is not kept") for no in (False, np.False_)),
        ("too ugly", "too ugly"),
    ],
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
        ("params ** 2 < 3", r"it has \*\*"),
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


def net(choose) -> nn.Module:
    sizes = [choose.int(f"size{i}", 1, 100) for i in range(4)]
    return nn.Linear(sum(sizes), 1)


WIDE = from_function(net, "sum of four sizes")


def total(arch: Architecture) -> float:
    return float(sum(size for _, size in arch.choices))


@pytest.mark.parametrize(
    ("where", "excess"),
    [("a < 4", 0.0), ("a < 2", 0.5), ("2 > a", 1 / 3), ("a > 6", 0.5), ("a < 2 or a > 6", 0.5), ("not a < 4", 1.0)],
)
def test_excess_is_the_share_by_which_a_bound_is_missed(where: str, excess: float) -> None:
    [clause] = parse_clauses(where)
    assert clause.excess({"a": 3.0}) == pytest.approx(excess)


def test_an_architecture_over_a_tight_limit_is_moved_to_one_that_keeps_to_it() -> None:
    limits = Limits("total < 24", {"total": total})  # 8,855 of 10⁸ do
    rng = np.random.default_rng(0)
    found = [limits.repair(WIDE.sample(rng), WIDE, rng) for _ in range(10)]
    assert all(arch is not None and total(arch) < 24 for arch in found)
    assert Limits("total < 4", {"total": total}).repair(WIDE.sample(rng), WIDE, rng) is None


def test_an_architecture_without_the_cost_is_furthest_from_the_limit() -> None:
    def partial_total(arch: Architecture) -> float | Failure:
        return total(arch) if total(arch) % 2 else Failure("it does not run")

    limits = Limits("total < 4", {"total": partial_total})
    drawn = [WIDE.sample(np.random.default_rng(seed)) for seed in range(20)]
    last = max(limits.excess(arch) for arch in drawn)
    assert {total(arch) % 2 for arch in drawn} == {0, 1}
    assert all((limits.excess(arch) == last) == (total(arch) % 2 == 0) for arch in drawn)
    near = min((arch for arch in drawn if total(arch) % 2), key=total)
    assert f"nearest: {near} (" in limits.refusals({str(arch): str(limits.check(arch)) for arch in drawn}, WIDE)


def test_where_nothing_fits_the_answer_names_the_limit_and_the_nearest() -> None:
    limits = Limits("total < 4 and total < 3", {"total": total})
    drawn = [WIDE.sample(np.random.default_rng(seed)) for seed in range(5)]
    rejected = {str(arch): str(limits.check(arch)) for arch in drawn}
    said = limits.refusals(rejected, WIDE)
    nearest = min(drawn, key=total)
    assert said.startswith("no architecture keeps to the limits: total < 4 refuses 5 of 5; nearest: ")
    assert f"nearest: {nearest} (total < 4 is false: total = {total(nearest):.0f})" in said


def test_where_a_function_refuses_all_it_is_named_as_the_limit() -> None:
    limits = Limits(None, {}, [lambda arch: False])
    arch = WIDE.sample(np.random.default_rng(0))
    said = limits.refusals({str(arch): str(limits.check(arch))}, WIDE)
    assert said.startswith("no architecture keeps to the limits: limit <lambda> refuses 1 of 1; nearest: ")
