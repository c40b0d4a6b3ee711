from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zerocost.combine import Combination

BENCH = Path(__file__).parents[2] / "bench"


def test_a_proxy_that_does_not_agree_with_itself_counts_less(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    weighted_by = runpy.run_path(str(BENCH / "repeats.py"))["weighted_by"]
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    scores = pd.DataFrame({name: truth + rng.normal(size=200) for name in ("a", "b", "unsteady")})
    plain = Combination(dict.fromkeys(scores, 1.0), "consensus")
    alone = Combination({"a": 1.0, "b": 1.0}, "log_rank")(scores)
    found = weighted_by(pd.Series({"a": 0.9, "b": 0.9, "unsteady": -0.1}), scores, plain)
    assert found.corr(alone, "spearman") > plain(scores).corr(alone, "spearman")
    same = weighted_by(pd.Series({"a": 0.5, "b": 0.5, "unsteady": 0.5}), scores, plain)
    assert same.rank().to_list() == pytest.approx(plain(scores).rank().to_list())
