from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd

BENCH = Path(__file__).parents[2] / "bench"


def test_truth_that_structure_tells_is_found_and_other_truth_is_not(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    from_truth = runpy.run_path(str(BENCH / "bounds.py"))["from_truth"]
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(120, 4)))
    truth = features[0] - 2 * features[3] + 0.1 * rng.normal(size=120)
    truth[::10] = np.nan
    assert from_truth(features, truth, 0) > 0.98
    assert abs(from_truth(features, pd.Series(rng.normal(size=120)), 0)) < 0.3
