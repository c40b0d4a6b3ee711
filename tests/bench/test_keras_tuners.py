from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("keras_tuner")
pytest.importorskip("autokeras")
BENCH = Path(__file__).parents[2] / "bench" / "keras_tuners.py"


def test_as_many_models_are_trained_at_random_and_then_for_as_long(capsys: pytest.CaptureFixture[str]) -> None:
    bench = runpy.run_path(str(BENCH))
    bench["main"](tool=["KerasTuner"], proxies="params", candidates=3, trained=1, epochs=1, seeds=1)
    printed = capsys.readouterr().out
    assert "KerasTuner best 1 of 3 by score 0 test 0." in printed
    assert "KerasTuner 1 at random 0 test 0." in printed
    assert "KerasTuner at random for as long 0 test 0." in printed
    assert "of all trained, validation" in printed
