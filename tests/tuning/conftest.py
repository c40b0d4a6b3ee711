from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.tuning.find import Recipe
from zerocost.tuning.scores import Setting

CHEAP, DEAR = Setting("width=0.5", 8, 1), Setting("full", 8, 1)


@pytest.fixture
def accuracy():
    """60 accuracies."""
    rng = np.random.default_rng(0)
    return pd.Series(rng.uniform(0.5, 0.9, 60), [f"net-{i}" for i in range(60)])


@pytest.fixture
def frames(accuracy):
    """Under the dear setting "good" tells and "bad" tells the wrong way round; under the cheap one nothing does."""
    rng = np.random.default_rng(1)

    def frame(signal):
        made = {name: rng.normal(size=60) for name in ("noise", "other", "params", "dead")}
        made["good"] = signal * accuracy + rng.normal(0, 0.05, 60)
        made["bad"] = -signal * accuracy + rng.normal(0, 0.05, 60)
        table = pd.DataFrame(made, index=accuracy.index)
        table.iloc[3, table.columns.get_loc("good")] = np.nan
        table["dead"] = np.nan
        return table

    return {CHEAP: frame(0.0), DEAR: frame(1.0)}


@pytest.fixture
def default():
    return Recipe({"noise": 1.0, "good": 1.0}, "log_rank", CHEAP, float("nan"))
