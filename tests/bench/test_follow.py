"""The script that measures proposals between rounds of training, on a table that is made up."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from zerocost.search.pipeline import Pipeline
from zerocost.spaces import from_function

BENCH = Path(__file__).parents[2] / "bench"
SPACE = from_function(lambda choose: nn.Linear(choose.int("in", 1, 20), choose.int("out", 1, 20)), "linear")
TEXTS = [f"in={i},out={o}" for i in range(1, 20, 3) for o in range(1, 20, 3)]


@pytest.fixture(scope="module")
def script() -> Any:
    sys.path.insert(0, str(BENCH))
    try:
        yield runpy.run_path(str(BENCH / "follow.py"))
    finally:
        sys.path.remove(str(BENCH))
        for name in ("loop", "nasbench201_scores", "tables"):
            sys.modules.pop(name, None)


def test_neighbours_are_the_nearest_of_the_table(script: dict[str, Any]) -> None:
    table = script["Table"](SPACE, TEXTS)
    near = {"in=7,out=10", "in=13,out=10", "in=10,out=7", "in=10,out=13"}
    assert {str(arch) for arch in list(table.neighbors(table.parse("in=10,out=10")))[:4]} == near
    assert "in=10,out=10" not in map(str, table.neighbors(table.parse("in=10,out=10")))
    assert str(table.mutate(table.parse("in=1,out=1"), np.random.default_rng(0))) in TEXTS


@pytest.mark.parametrize("follow", [False, True])
def test_a_search_stays_in_the_table(script: dict[str, Any], follow: bool) -> None:
    rows = {text: {"params": float(place)} for place, text in enumerate(TEXTS)}
    accuracy = {text: float(place % 7) for place, text in enumerate(TEXTS)}
    pipeline = Pipeline(
        script["Table"](SPACE, TEXTS), proxies="params", strategy="evolution", candidates=20, trainings=9
    )
    order = script["trained"](pipeline, rows, accuracy, follow)
    assert len(order) == len(set(order)) == 9
    assert set(order) <= set(TEXTS)
