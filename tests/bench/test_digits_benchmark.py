"""The script that trained benchmark `digits`: it makes the table that comes with zerocost."""

from __future__ import annotations

import csv
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from zerocost import benchmarks
from zerocost.spaces import distinct

BENCH = Path(__file__).parents[2] / "bench"
TABLE = Path(benchmarks.__file__).with_name("digits.csv")
POINTS = 3
"""How far an accuracy may be off on another processor, which adds up in another order."""


@pytest.fixture
def script() -> Iterator[dict[str, Any]]:
    threads = torch.get_num_threads()
    yield runpy.run_path(str(BENCH / "digits_benchmark.py"))
    torch.set_num_threads(threads)


def test_the_table_is_of_the_architectures_the_script_draws(script: dict[str, Any]) -> None:
    drawn = [str(arch) for arch in distinct(script["SPACE"], 500, np.random.default_rng(0))]
    assert pd.read_csv(TABLE)["arch"].tolist() == drawn


def test_the_script_reaches_what_the_table_says(script: dict[str, Any]) -> None:
    table = pd.read_csv(TABLE, index_col="arch").nsmallest(2, "params")
    for (text, row), seed in zip(table.iterrows(), (0, 2), strict=True):
        *_, validation, test, params = script["train_architecture"]((text, seed))
        assert params == row["params"]
        assert validation == pytest.approx(float(row["validation_accuracy_seeds"].split()[seed]), abs=POINTS)
        assert test == pytest.approx(float(row["test_accuracy_seeds"].split()[seed]), abs=POINTS)
        assert script["train_architecture"]((text, seed)) == (text, seed, validation, test, params)


def test_a_broken_run_goes_on_and_writes_a_table_that_can_be_read(script: dict[str, Any], tmp_path: Path) -> None:
    first, second = (str(arch) for arch in distinct(script["SPACE"], 2, np.random.default_rng(0)))
    kept, table = tmp_path / "kept.csv", tmp_path / "table.csv"
    with kept.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerows([script["COLUMNS"], (second, 0, 12.5, 13.5, 7), (first, 1, 60.5, 61.5, 9)])
    script["main"].__globals__["train_architecture"] = lambda task: (*task, 50.0, 51.0 + task[1], 9)
    script["main"](table, keep=kept, n=2, seeds=2, workers=1)
    assert len(pd.read_csv(kept)) == 4
    found = benchmarks.get("digits", table)
    assert list(found.architectures()) == [first, second]
    tests = [
        [found.query(text, dataset="digits-hard", metric="test_accuracy", epochs=8, seed=seed) for seed in (0, 1)]
        for text in (first, second)
    ]
    assert tests == [[51.0, 61.5], [13.5, 52.0]]
