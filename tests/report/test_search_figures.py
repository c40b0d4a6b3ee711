from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.base.figures import TEMPLATES
from zerocost.report import search_figures as figures
from zerocost.report.front import Front
from zerocost.report.metric import WrittenMetric
from zerocost.report.names import Names
from zerocost.report.progress import best_so_far
from zerocost.search.figures import proposed_figure

POINTS = pd.DataFrame({"params": [1.0, 2.0, 3.0, 4.0], "score": [1.0, 3.0, 2.0, 5.0]}, index=list("abcd"))


FRONT = Front(POINTS, ["d", "b", "a"], frozenset({"params"}), "b")
NAMES = Names({name: name for name in "abcd"}, "")


def test_front_is_joined_in_order_and_told_from_the_rest():
    figure = figures.front_figure(POINTS, FRONT, ["d"], NAMES)
    others, front, knee, kept = figure.data
    assert [list(trace.x) for trace in (others, front, knee, kept)] == [[3], [1, 2, 4], [2], [4]]
    assert front.mode == "lines+markers"
    assert figure.layout.xaxis.title.text == "params (less is better)"
    assert figure.layout.yaxis.title.text == "score (more is better)"


@pytest.mark.parametrize(("across", "shape"), [("params", "hv"), ("snip", "vh")])
def test_steps_bound_what_the_front_dominates(across, shape):
    points = POINTS.rename(columns={"params": across})
    assert figures.front_figure(points, FRONT, [], NAMES).data[1].line.shape == shape


def test_a_projected_front_is_not_joined():
    front = Front(POINTS.assign(depth=1.0), ["d", "b", "a"], frozenset({"params", "depth"}), None)
    assert figures.front_figure(POINTS, front, [], NAMES).data[1].mode == "markers"


def test_history_has_each_value_and_the_best_so_far():
    proposed = pd.DataFrame({"snip": [1.0, np.nan, 3.0, 2.0]}, index=["a", "b", "<b>", "d"])
    each, best = figures.history_figure(proposed, best_so_far(proposed)).data
    assert list(each.x) == [1, 3, 4]
    assert list(each.y) == [1, 3, 2]
    assert "&lt;b&gt;" in each.text[1]
    assert list(zip(best.x, best.y, strict=True)) == [(1, 1), (3, 3), (4, 3)]


def test_history_of_a_front_is_a_percentage():
    proposed = POINTS[["score", "params"]]
    (best,) = figures.history_figure(proposed, best_so_far(proposed)).data
    assert best.y[-1] == pytest.approx(100)


def test_plots_of_many_stay_light():
    many = pd.DataFrame({"params": np.arange(1.0, 20_001), "score": -np.arange(20_000.0)})
    many.index = many.index.map(str)
    figure = figures.front_figure(many, Front(many, ["7"], frozenset(), None), [], Names({}, ""))
    assert len(figure.data[0].x) <= figures.MOST_POINTS
    assert list(figure.data[1].x) == [8]


def test_places_are_those_before_and_after():
    ranks = pd.DataFrame({"before": [1.0, 2.0], "after": [2.0, 1.0]}, index=["a", "b"])
    _, others, kept = figures.reordering_figure(ranks, "width=0.5", "full size", ["b"]).data
    assert (list(others.x), list(others.y), list(kept.x), list(kept.y)) == ([1], [2], [2], [1])


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_the_rest_the_front_and_the_kept_can_be_told_from_both_papers(paper):
    background = TEMPLATES[paper].layout.hoverlabel.bgcolor
    for colour in (figures.OTHERS, figures.FRONT, figures.KEPT):
        assert abs(brightness(colour) - brightness(background)) > 0.2


def brightness(colour: str) -> float:
    return sum(weight * int(colour[i : i + 2], 16) / 255 for weight, i in ((0.2126, 1), (0.7152, 3), (0.0722, 5)))


def test_a_wide_expectation_does_not_stretch_the_axis():
    rows = {"name": ["a", "b"], "mean": [np.nan, 0.6], "std": [np.nan, 2.0], "metric": [0.5, 0.7]}
    low, high = figures.expectation_figure(pd.DataFrame(rows, index=[1, 2]), WrittenMetric.of()).layout.yaxis.range
    assert (low, high) == pytest.approx((40, 80))


def test_axes_of_few_mark_whole_numbers_alone():
    """Plotly marks the halves too where there is room, and writes them as whole numbers: 1, 2, 2, 3, 3."""
    proposed, ranks = POINTS[["score"]], pd.DataFrame({"before": [1.0, 2.0], "after": [2.0, 1.0]}, index=["a", "b"])
    trainings = pd.DataFrame({"name": ["a", "b"], "metric": [0.5, 0.7], "best": [0.5, 0.7]}, index=[1, 2])
    for figure in (
        figures.history_figure(proposed, best_so_far(proposed)),
        figures.reordering_figure(ranks, "width=0.5", "full size", []),
        figures.trainings_figure(trainings, pd.Series(dtype=float), WrittenMetric.of()),
        proposed_figure(proposed["score"]),
    ):
        assert figure.layout.xaxis.dtick == 1
