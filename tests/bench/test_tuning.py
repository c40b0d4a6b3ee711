from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from zerocost.tuning.find import Recipe
from zerocost.tuning.scores import Setting

BENCH = runpy.run_path(str(Path(__file__).parents[2] / "bench" / "tuning.py"))


def test_a_draw_gains_where_the_default_tells_nothing(capsys):
    rng = np.random.default_rng(0)
    accuracy = pd.Series(rng.normal(size=120))
    names = ["params", "snip", "depth"]
    frame = pd.DataFrame(rng.normal(size=(120, 3)), columns=names)
    frame["snip"] += accuracy
    setting = Setting("full", 64, 1)
    default = Recipe({"depth": 1.0}, "log_rank", setting, 0.0)
    row = BENCH["measure_draw"]({setting: frame}, accuracy, default, 40, 0, 12, True)
    assert row["gain"] > 0.2
    assert row["low"] < row["nested"] < row["high"]
    BENCH["show"](pd.DataFrame([row, row]), Console())
    assert "nested gain" in capsys.readouterr().out
