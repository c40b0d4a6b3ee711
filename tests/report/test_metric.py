"""The answer of a report, whatever the direction of the metric."""

from __future__ import annotations

import pandas as pd
import pytest

from zerocost.report.frames import RANDOM, SURVIVORS
from zerocost.report.headline import survivors_verdict
from zerocost.report.metric import WrittenMetric

ERROR = WrittenMetric("mean_squared_error", False)


def trained(survivors, random):
    rows = [(SURVIVORS, f"s{i}", value) for i, value in enumerate(survivors)]
    rows += [(RANDOM, f"r{i}", value) for i, value in enumerate(random)]
    return pd.DataFrame(rows, columns=["group", "name", "metric"]).assign(seed=0, state="finished")


@pytest.mark.parametrize(
    ("survivors", "random", "said"),
    [
        ([0.10, 0.11, 0.12], [0.9, 1.0, 1.1], "trained better than random picks"),
        ([0.9, 1.0, 1.1], [0.10, 0.11, 0.12], "trained worse than random picks"),
    ],
)
def test_survivors_of_less_error_are_better(survivors, random, said):
    assert said in survivors_verdict(trained(survivors, random), ERROR)


def test_a_random_pick_of_less_error_is_named():
    text = survivors_verdict(trained([0.5, 0.6, 0.7], [0.4, 0.55, 0.9]), ERROR)
    assert "A random pick, r0, reached 0.4, below every survivor." in text
    assert "every survivor" not in survivors_verdict(trained([0.5, 0.6], [0.7, 0.9]), ERROR)


def test_the_best_and_the_axis_follow_the_direction():
    values = pd.Series([0.3, 0.1, 0.2])
    assert (ERROR.best(values), WrittenMetric("r2_score", True).best(values)) == (1, 0)
    assert WrittenMetric("r2_score", True).axis == "r2 score, more is better"
    assert WrittenMetric("f1_score", True).difference(0.012) == "+1.2"
