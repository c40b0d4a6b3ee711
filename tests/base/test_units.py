from __future__ import annotations

import pytest

from zerocost.base.conditions import join_clauses, parse_clauses
from zerocost.base.errors import InputError


@pytest.mark.parametrize(
    ("where", "bound"),
    [
        ("peak_memory_int8 < 256kB", {"peak_memory_int8": 256_000}),
        ("peak_memory_int8 < 256 KiB", {"peak_memory_int8": 262_144}),
        ("flash < 1.5MB", {"flash": 1.5e6}),
        ("training_memory < 2GB", {"training_memory": 2e9}),
        ("kv_cache < 64B", {"kv_cache": 64}),
        ("params < 4k", {"params": 4000}),
        ("flops < .6M", {"flops": 6e5}),
        ("peak_memory < 3k", {"peak_memory": 3000}),
        ("latency < 5ms", {"latency": 5}),
        ("latency < 0.005 s", {"latency": 5}),
        ("raspi4_latency < 250us", {"raspi4_latency": 0.25}),
        ("edgegpu_energy < 1e-2J", {"edgegpu_energy": 10}),
        ("256kB > peak_memory", {"peak_memory": 256_000}),
    ],
)
def test_a_number_with_a_unit_is_in_the_unit_of_its_quantity(where: str, bound: dict[str, float]) -> None:
    [clause] = parse_clauses(where)
    assert clause.holds({name: value * 0.9999 for name, value in bound.items()})
    assert not clause.holds({name: value * 1.0001 for name, value in bound.items()})


def test_clauses_keep_the_text_and_the_names_as_they_were_written() -> None:
    where = "flash + peak_memory < 2MB and (params < 1M or latency < 3 ms)"
    clauses = parse_clauses(where)
    assert [clause.names for clause in clauses] == [("flash", "peak_memory"), ("params", "latency")]
    assert join_clauses(clauses) == where
    assert join_clauses(parse_clauses(join_clauses(clauses) or "")) == where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("params < 3kB", r"3kB is a size in bytes, but it is compared with params \(a number\); leave the unit out"),
        ("latency < 3kB", r"compared with latency \(a time\)"),
        ("flash < 3ms", r"3ms is a time, but it is compared with flash \(a size in bytes\)"),
        ("flash < 3kb", "cannot read the condition"),
        ("flash < 3 ** kB", r"it has \*\*"),
        ("flash < 256kB and", "condition 'flash < 256kB and': invalid syntax"),
        ("2ms < 3ms", "compared with no quantity"),
    ],
)
def test_a_unit_of_another_kind_is_an_error(where: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_clauses(where)


@pytest.mark.parametrize(
    ("where", "values", "holds"),
    [
        ("change > -1k", {"change": -999.0}, True),
        ("change > -1k", {"change": -1001.0}, False),
        ("change > +1k", {"change": 1001.0}, True),
        ("-2kB < flash < 2 * 3kB", {"flash": 5999.0}, True),
        ("flash < 2 * 3kB", {"flash": 6001.0}, False),
        ("flash / 2kB < 3", {"flash": 5999.0}, True),
        ("1MB - flash > 1kB", {"flash": 998_000.0}, True),
    ],
)
def test_numbers_with_units_are_numbers_in_any_sum(where: str, values: dict[str, float], holds: bool) -> None:
    [clause] = parse_clauses(where)
    assert bool(clause.holds(values)) == holds
    assert clause.text == where
