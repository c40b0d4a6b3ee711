"""The script that asks whether scores follow trained errors of tables and series."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from zerocost.combine import as_combination

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def script() -> Iterator[dict[str, Any]]:
    threads = torch.get_num_threads()
    yield runpy.run_path(str(BENCH / "tasks.py"))
    torch.set_num_threads(threads)


def test_errors_are_kept_and_compared_with_scores(
    script: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = script["DATA"][0]._replace(epochs=1)
    script["main"].__globals__.update(DATA=(tiny, tiny._replace(name="again")), RESAMPLES=20, KEPT=2)
    script["main"](tmp_path, n=4, seeds=2)
    shown = capsys.readouterr().out
    assert shown.count("| **default** | ") == 2 and "failed: epe_nas on 4 of 4: needs one class a sample" in shown
    assert "| again, half 1, " in shown and "| random | " in shown
    assert pd.read_csv(tmp_path / "diabetes-errors.csv").shape == (4, 3)


def test_what_is_chosen_follows_the_truth(script: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    error = rng.random(12)
    scores = pd.DataFrame({"snip": rng.random(12), "zen": -error, "naswot": rng.random(12)})
    found = script["Measured"](scores, pd.DataFrame({0: error, 1: error}), {})
    assert script["choose"](found, 3).proxies == ["zen"]
    assert found.values(as_combination("zen,fisher")).argmax() == error.argmin()
