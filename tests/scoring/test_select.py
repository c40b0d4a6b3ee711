from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.test_table import table
from zerocost.base.errors import InputError
from zerocost.scoring.select import proxies_in, select

FOUR = {"w": (1, 40, 100), "x": (2, 30, 200), "y": (3, 20, 300), "z": (4, 10, 400)}


def kept(where=None, rows=FOUR, **filters):
    return list(select(table(**rows), where, **filters).frame.index)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("a > 2", "yz"),
        ("a >= 2 and b > 10", "xy"),
        ("a < 2 or b < 20", "wz"),
        ("not a > 2", "wx"),
        ("not (a > 2 and b > 10)", "wxz"),
        ("1 < a <= 3", "xy"),
        ("a + b / 10 > 5 - 1", "wxyz"),
        ("a * 2 - 1 > -params / -100", "xyz"),
        ("b > params / 10", "wx"),
        ("-a > -2", "w"),
        ("params < 2.5e2", "wx"),
        ("a > 9", ""),
    ],
)
def test_conditions(where, names):
    assert sorted(kept(where)) == sorted(names)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("a >", "cannot read the condition"),
        ("a = 3", "cannot read the condition"),
        ("", "cannot read"),
        ("a", "as a condition, which compares by <, <=, > or >=; write for example"),
        ("3", "as a condition"),
        ("snipp > 3", "unknown column 'snipp'"),
        ("aa > 3", r"unknown column 'aa'; did you mean 'a'"),
        ("a == 3", "as a condition"),
        ("a > 'x'", "columns, numbers and"),
        ("a ** 2 > 3", r"it has \*\*"),
        ("a @ 2 > 3", "columns, numbers and"),
        ("__import__('os').getcwd() > 3", "columns, numbers and"),
        ("a.size > 3", "columns, numbers and"),
        ("a[0] > 3", "columns, numbers and"),
        ("(lambda: a)() > 3", "columns, numbers and"),
    ],
)
def test_what_is_no_condition_is_refused_and_never_run(where, message):
    with pytest.raises(InputError, match=message):
        kept(where if where else " ")


def test_each_dropped_candidate_says_which_part_of_the_condition_dropped_it():
    dropped = select(table(**FOUR), "a > 1 and params < 350", top=1, by="b").dropped
    assert dropped == {
        "w": "a > 1 is false: a = 1",
        "z": "params < 350 is false: params = 400",
        "y": "rank 2 by b, of which the best was kept",
    }


def test_a_failed_score_passes_no_condition_on_it_whichever_way_it_is_put():
    rows = {**FOUR, "f": (None, 50, 100)}
    for where in ("a > 2", "a < 2", "not a > 2", "not a < 2", "a + b > 0"):
        assert "f" not in kept(where, rows)
    assert kept("b > 45", rows) == ["f"] and "f" in kept("a > 9 or b > 45", rows)
    assert "a failed" in select(table(**rows), "a > 2").dropped["f"]


def test_a_candidate_without_any_score_is_dropped_with_its_failure():
    chosen = select(table(**FOUR, dead=(None, None, None)))
    assert "dead" not in chosen.frame.index and "no a" in chosen.dropped["dead"]


@pytest.mark.parametrize(("percentile", "names"), [(0, "zyxw"), (50, "zy"), (60, "zy"), (100, "z")])
def test_percentile_keeps_those_at_or_above(percentile, names):
    assert kept(percentile=percentile, by="a") == list(names)


@pytest.mark.parametrize(
    ("by", "best"),
    [
        *(("peak_memory_int8", "z"), ("training_memory(batch=8)", "z"), ("raspi4_latency", "z")),
        *(("mean_squared_error", "z"), ("params", "w"), ("flops", "w"), ("accuracy", "w")),
    ],
)
def test_of_budgets_costs_and_errors_the_least_are_kept(by, best):
    scored = table(**FOUR)
    named = replace(scored, frame=scored.frame.rename(columns={"b": by, "params": "size"}))
    first = select(named, top=1, by=by)
    assert list(first.frame.index) == [best]
    assert list(select(named, percentile=100, by=by).frame.index) == [best]
    assert first.dropped["x"].startswith("rank 2 by" if best == "w" else "rank 3 by")


@pytest.mark.parametrize("percentile", [10, 30, 40, 50, 90])
def test_failed_candidates_do_not_move_a_percentile(percentile):
    dead = {f"dead{i}": (None, None, None) for i in range(3)}
    for by in ("rank_score", "a"):
        assert kept(percentile=percentile, by=by, rows={**FOUR, **dead}) == kept(percentile=percentile, by=by)


def test_filters_apply_in_turn_and_top_counts_what_is_left():
    assert kept("a < 4", top=2, by="a") == ["y", "x"]
    assert kept(top=10, by="b") == ["w", "x", "y", "z"]


@given(st.integers(1, 6), st.sampled_from(["a", "b", "params", "rank_score"]))
def test_every_candidate_is_kept_or_dropped_and_the_best_are_kept(top, by):
    whole = table(**FOUR)
    chosen = select(whole, top=top, by=by)
    assert set(chosen.frame.index) | set(chosen.dropped) == set(FOUR)
    assert not set(chosen.frame.index) & set(chosen.dropped)
    worst = whole.frame.loc[list(chosen.frame.index), by].min()
    assert all(whole.frame.at[name, by] <= worst for name in chosen.dropped)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"top": 0}, "top must be at least 1, but got 0"),
        ({"percentile": 101}, "between 0 and 100"),
        ({"percentile": -1}, "between 0 and 100"),
        ({"by": "c"}, "no column 'c'"),
    ],
)
def test_settings_out_of_range(filters, message):
    with pytest.raises(InputError, match=message):
        kept(**filters)


def test_selecting_again_goes_on_from_the_survivors():
    once = select(table(**FOUR), "a > 1")
    again = select(once, top=1, by="b")
    assert list(again.frame.index) == ["x"] and set(again.dropped) == {"w", "y", "z"}


def test_the_proxies_of_a_condition():
    assert proxies_in("synflow / params > 2 and not (snip < 1 or snip > 3)") == ["synflow", "params", "snip"]
    assert proxies_in(None) == []
    with pytest.raises(InputError, match="unknown column 'snipp'"):
        proxies_in("snipp > 2")
