from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tiny import evaluation
from zerocost.base.errors import InputError


def test_bars_keep_the_interval_around_the_value_best_first():
    made = evaluation()
    table = made.table.sort_values("kendall", ascending=False)
    [bar] = made.plot().data
    assert np.allclose(bar.x, table["kendall"], equal_nan=True)
    assert np.allclose(np.add(bar.x, bar.error_x.array), table["kendall_high"])
    assert np.allclose(np.subtract(bar.x, bar.error_x.arrayminus), table["kendall_low"])


def test_less_regret_is_better_and_an_unknown_statistic_is_named():
    made = evaluation()
    [bar] = made.plot("regret@5").data
    assert list(bar.x) == sorted(bar.x)
    with pytest.raises(InputError, match="unknown statistic 'tau'"):
        made.plot("tau")
