from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

BENCH = Path(__file__).parents[2] / "bench"
EIGHT = ["grad_norm", "snip", "plain", "fisher", "jacob_cov", "synflow", "naswot", "grasp"]


@pytest.fixture
def fusion(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    monkeypatch.syspath_prepend(str(BENCH))
    yield runpy.run_path(str(BENCH / "fusion.py"))
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def test_json_has_each_alone_and_all_together(fusion: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    fusion["main"](rounds=2, small=True, as_data=True)
    found = json.loads(capsys.readouterr().out)
    assert list(found["units"]) == [*EIGHT, ",".join(EIGHT[:-1]), ",".join(EIGHT)]
    assert all(0 < cost["min"] <= cost["median"] <= cost["max"] for cost in found["units"].values())
    assert found["at_most"] == {",".join(EIGHT[:-1]): 2.2, ",".join(EIGHT): 7.0}
    assert found["rounds"] == 2
    assert found["unit_seconds"] > 0
    assert found["times_cheaper_together"][",".join(EIGHT)]["median"] > 1


def test_table_shows_costs_beside_the_number_of_runs(
    fusion: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fusion["main"](rounds=1, small=True, as_data=False)
    shown = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    runs = {row[0]: (row[1], row[2]) for row in cells}
    assert runs["naswot"] == ("1", "0")
    assert runs["grasp"] == ("1", "2")
    assert runs["no grasp, apart"] == ("7", "6")
    assert runs["no grasp, together"] == ("2", "3")
    assert runs["all eight, apart"] == ("8", "8")
    assert runs["all eight, together"] == ("2", "4")
    assert "one forward and backward pass" in shown
    assert "one thread" in shown


def test_the_network_is_the_one_the_benchmark_trained(fusion: dict[str, Any]) -> None:
    model = fusion["nasbench201"]()
    assert sum(p.numel() for p in model.parameters()) == 1_288_506
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
