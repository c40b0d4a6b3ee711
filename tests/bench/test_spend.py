"""The script that compares ways of spending a budget of trainings, on curves that are made up."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def script() -> Any:
    sys.path.insert(0, str(BENCH))
    try:
        yield runpy.run_path(str(BENCH / "spend.py"))
    finally:
        sys.path.remove(str(BENCH))
        for name in ("loop", "trainings", "tasks", "nasbench201_scores", "tables"):
            sys.modules.pop(name, None)


@pytest.fixture
def draw(script: dict[str, Any]) -> Any:
    """Thirty candidates; a later one is better in the end, and after one epoch the order is the reverse."""
    pool = [f"net{i}" for i in range(30)]
    asked: dict[tuple[str, int], int] = {}

    def curve(name: str, epochs: int) -> list[float]:
        asked[name, epochs] = asked.get((name, epochs), 0) + 1
        place = int(name[3:])
        return [-100.0 - place, *[float(place)] * (epochs - 1)]

    made = script["Draw"](pool, pd.Series(range(30), pool), curve, 8)
    made.curve.__dict__["asked"] = asked
    return made


def test_half_of_the_budget_goes_to_short_trainings(script: dict[str, Any], draw: Any) -> None:
    assert script["short_first"](draw, 2, 4) == 7  # 8 candidates for 2 of 8 epochs, then 2 in full
    assert {epochs for _, epochs in draw.curve.asked} == {2, 8}
    assert sum(epochs == 8 for _, epochs in draw.curve.asked) == 2
    assert script["short_first"](draw, 1, 4) == 1  # the first epoch misleads


def test_halving_takes_as_many_as_the_budget_allows(script: dict[str, Any], draw: Any) -> None:
    """Six candidates cost 6 + 2·2 + 5 = 15 epochs, seven cost 7 + 3·2 + 5 = 18 of 16."""
    assert script["halve"](draw, draw.pool, 2) == 1
    assert script["halve"](draw, draw.pool[::-1], 2) == 25


def test_learning_from_first_epochs_keeps_to_the_budget(script: dict[str, Any], draw: Any) -> None:
    features = pd.DataFrame({"count:place": range(30)}, draw.pool)
    assert script["learn_from_short"](draw, features, 2, 4) == 29  # 8 for 2 epochs, 2 of them for 6 more


def test_how_many_random_trainings_are_needed(script: dict[str, Any]) -> None:
    """The best two of 1, 2, 3 and 4 have 20/6 on average, the best three 15/4."""
    needs = script["random_needs"]
    assert [needs([4, 2, 1, 3], wanted) for wanted in (2.5, 3.3, 3.4, 3.8, 4.5)] == ["1", "2", "3", "4", "over 4"]
