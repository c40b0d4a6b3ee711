from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.base.figures import TEMPLATES
from zerocost.report import figures, frames
from zerocost.report.frames import RANDOM, SURVIVORS
from zerocost.report.metric import ACCURACY, WrittenMetric


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("paper", ["#ffffff", "#1b2028"])
@pytest.mark.parametrize("group", [SURVIVORS, RANDOM])
def test_group_colours_can_be_told_from_both_papers(group, paper):
    assert contrast(figures.COLOURS[group], paper) >= 3


@pytest.mark.parametrize(("mode", "paper"), [("light", "#ffffff"), ("dark", "#1b2028")])
def test_text_can_be_read_on_its_paper(mode, paper):
    assert contrast(TEMPLATES[mode].layout.font.color, paper) >= 7


def test_outcome_shows_each_run_each_candidate_and_the_group_mean(result):
    runs = frames.run_table(result)
    trained = frames.trained_table(runs)
    traces = figures.metric_by_group(trained, runs).data
    each, candidates, mean = traces[:3]
    survivors = trained[trained["group"] == SURVIVORS]["metric"]
    assert sorted(each.y) == pytest.approx(sorted(100 * run.accuracy for run in result.survivors))
    assert sorted(candidates.y) == pytest.approx(sorted(100 * survivors))
    assert set(each.x) == set(candidates.x)
    assert mean.y == pytest.approx([100 * survivors.mean()])
    assert mean.error_y.array[0] > 0
    assert [trace.marker.color for trace in traces] == [figures.COLOURS[SURVIVORS]] * 3 + [figures.COLOURS[RANDOM]] * 3


@pytest.mark.parametrize(
    ("metric", "values", "inside"),
    [
        (ACCURACY, [0.5, 0.99], (-5, 105)),
        (ACCURACY, [0.0, 1.0], (-5, 105)),
        (ACCURACY, [0.9, 0.9], (80, 100)),
        (WrittenMetric("mean_squared_error", False), [2.0, 3.0], (1, 4)),
    ],
)
def test_two_candidates_do_not_stretch_the_axis(metric, values, inside):
    trained = pd.DataFrame({"group": SURVIVORS, "name": ["a", "b"], "metric": values, "sd": np.nan, "seeds": 1})
    figure = figures.metric_by_group(trained, trained.assign(seed=0), metric)
    low, high = figure.layout.yaxis.range
    assert inside[0] <= low < metric.scale * min(values)
    assert metric.scale * max(values) < high <= inside[1]


def test_the_ends_of_an_interval_are_there_for_hovering():
    two = pd.DataFrame({"group": RANDOM, "name": ["a", "b"], "metric": [0.5, 0.52], "sd": np.nan, "seeds": 1})
    mean = figures.metric_by_group(two, two.assign(seed=0)).data[-1]
    assert "95 % interval 38.3" in mean.hovertemplate


def test_one_candidate_has_no_interval():
    one = pd.DataFrame({"group": [RANDOM], "name": ["a"], "metric": [0.5], "sd": [np.nan], "seeds": [1], "seed": [0]})
    mean = figures.metric_by_group(one, one).data[-1]
    assert mean.error_y.array is None


@pytest.mark.parametrize(
    ("scores", "kind"), [([1e20, 1e30], "log"), ([1.0, 2.0], "linear"), ([-1e9, 1e9], "linear"), ([], "linear")]
)
def test_wide_positive_scores_get_a_log_axis(scores, kind):
    points = pd.DataFrame({"group": SURVIVORS, "name": "a", "score": scores, "metric": 0.5})
    assert figures.metric_scatter(points, "synflow").layout.xaxis.type == kind


def test_points_without_a_score_are_left_out():
    points = pd.DataFrame({"group": RANDOM, "name": ["a", "b"], "score": [1.0, np.nan], "metric": [0.5, 0.6]})
    assert [len(trace.x) for trace in figures.metric_scatter(points, "snip").data] == [0, 1]


def test_agreement_writes_the_numbers():
    names = ["snip", "<b>bold</b>"]
    figure = figures.correlation_heatmap(pd.DataFrame([[1, -0.256], [-0.256, np.nan]], names, names))
    assert figure.data[0].text[0] == ["1.00", "−0.26"]
    assert figure.data[0].text[1][1] == ""
    assert figure.data[0].x[1] == "&lt;b&gt;bold&lt;/b&gt;"


def test_mean_curve_ends_where_the_first_finished_run_ends():
    def rows(name: str, values: list[float], finished: bool = True) -> pd.DataFrame:
        epochs = range(1, len(values) + 1)
        return pd.DataFrame({"epoch": epochs, "accuracy": values}).assign(
            group=SURVIVORS, name=name, seed=0, state=frames.FINISHED if finished else frames.FAILED
        )

    epochs = pd.concat([rows("a", [10, 20, 30]), rows("b", [30, 40]), rows("c", [90], finished=False)])
    each, mean = figures.learning_curves(epochs, "accuracy", "accuracy (%)").data
    assert mean.x.tolist() == [1, 2]
    assert mean.y.tolist() == [20, 30]
    assert each.mode == "lines" and list(each.x) == [1, 2, 3, None, 1, 2, None, 1, None]
    assert len(each.text) == len(each.x)
    single = figures.learning_curves(epochs[epochs["epoch"] == 1], "accuracy", "accuracy (%)").data[0]
    assert single.mode == "markers"  # a line of one point is not drawn
