from __future__ import annotations

import runpy
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    return lambda name: runpy.run_path(str(BENCH / f"{name}.py"))


def test_a_store_is_measured_in_every_place_there_is(bench, monkeypatch):
    monkeypatch.delenv("ZEROCOST_TEST_POSTGRES", raising=False)
    found = bench("store")["measure_all"](1000)
    assert list(found) == ["sqlite"]
    assert set(found["sqlite"]) == {"write_seconds", "query_ms", "slowest_query_ms", "megabytes"}
    assert min(found["sqlite"].values()) > 0


def test_the_probe_of_two_commits_is_a_program(bench):
    compile(bench("compare")["PROBE"], "probe", "exec")
