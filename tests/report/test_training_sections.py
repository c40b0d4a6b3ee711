from __future__ import annotations

import re
from dataclasses import replace

import pytest

import zerocost as zc
from zerocost.report import frames
from zerocost.report.names import with_short_names
from zerocost.report.page import render_search
from zerocost.report.sections import ranking_section
from zerocost.report.training_sections import learning_plots, trained_section, trainings_plot


def test_the_picture_of_a_budget_is_the_best_so_far_beside_random(make):
    plot = trainings_plot(make.budgeted([0.5, 0.4, 0.7], [0.4, 0.6]))
    each, best, random = plot.figure.data
    assert list(each.y) == pytest.approx([50, 40, 70])
    assert list(best.y) == pytest.approx([50, 50, 70]) and best.line.shape == "hv"
    assert list(random.x) == [1, 2] and list(random.y) == pytest.approx([50, 60])


def test_less_is_better_is_drawn_as_it_is(make):
    plot = trainings_plot(make.budgeted([5.0, 4.0, 7.0], [4.0, 6.0], zc.tasks.regression))
    assert list(plot.figure.data[1].y) == [5.0, 4.0, 4.0]
    assert list(plot.figure.data[2].y) == [5.0, 4.0]
    assert "less is better" in plot.figure.layout.yaxis.title.text
    _, trust = learning_plots(make.budgeted([5.0] * 8, [4.0], zc.tasks.regression))
    assert trust.figure.layout.xaxis.title.text == "reduction of expected<br>mean squared error"


def test_what_was_expected_stands_beside_what_came(make):
    expected, trust = learning_plots(make.budgeted([0.5, 0.4, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9], [0.4]))
    before, came = expected.figure.data
    assert list(before.x) == [3, 4, 5, 6, 7, 8] and list(before.error_y.array) == pytest.approx([20] * 6)
    assert list(came.x) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert expected.text == "1 of 6 came within two standard deviations"
    assert list(trust.figure.data[0].x) == pytest.approx([2, -1]) and list(trust.figure.data[0].y) == ["score", "snip"]


def test_what_scores_are_worth_is_shown_from_eight_trainings_on_that_ended_well(make):
    result = make.budgeted([0.5] * 8, [0.4])
    assert [plot.id for plot in learning_plots(result)] == ["expected", "trust"]
    assert "The bar of the score" in render_search(result)
    failed = replace(result.survivors[-1], failure="out of memory")
    result = replace(result, survivors=[*result.survivors[:-1], failed])
    assert [plot.id for plot in learning_plots(result)] == ["expected"]
    assert "which scores are trusted now" not in render_search(result)
    assert "The bar of the score" not in render_search(result)


def test_without_a_budget_there_is_neither(make, result):
    assert trainings_plot(result) is None
    assert learning_plots(result) == []


def test_trained_candidates_of_a_budget_come_in_their_order_and_with_what_was_expected(make):
    result, names = with_short_names(make.budgeted([0.5, 0.4, 0.7], [0.4]))
    table = trained_section(result, frames.ranking_table(result), names)
    assert table.headings == ["accuracy", "expected", "parameters"]
    assert [row.name for row in table.rows] == [*result.kept.frame.index, result.random[0].name]
    cells = [[cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row.cells[:2]] for row in table.rows]
    assert cells == [["50.0 %", "–"], ["40.0 %", "–"], ["70.0 %", "50.0 %"], ["40.0 %", "–"]]


def test_nothing_is_said_of_expectations_where_a_single_round_had_none(make):
    result, names = with_short_names(make.budgeted([0.5, 0.4], [0.4]))
    assert trained_section(result, frames.ranking_table(result), names).headings == ["accuracy", "parameters"]
    several = replace(result, objectives=("accuracy", "params"), front=list(result.kept.frame.index))
    page = render_search(several)
    assert "What trainings brought" in page and "is expected" not in page and "was expected" not in page


def test_a_training_that_failed_is_listed_as_failed_and_not_as_trained(make):
    result = make.budgeted([0.5, 0.4, 0.7], [0.4, 0.6])
    broken = [replace(runs[0], failure="out of memory") for runs in (result.survivors, result.random)]
    result = replace(result, survivors=[broken[0], *result.survivors[1:]], random=[broken[1], result.random[1]])
    ranking = frames.ranking_table(result)
    names = with_short_names(result)[1]
    table = trained_section(result, ranking, names)
    assert [row.cells[0].split("\N{NO-BREAK SPACE}")[0] for row in table.rows] == [
        "failed",
        "40.0",
        "70.0",
        "60.0",
        "failed",
    ]
    rows = ranking_section(result, ranking, frames.trained_table(frames.run_table(result)), names).rows
    marks = {row.name: row.marks for row in rows}
    assert [marks[run.name] for run in result.survivors] == [["failed"], ["trained"], ["trained"]]
    assert [marks[run.name] for run in result.random] == [["random pick", "failed"], ["random pick"]]
    assert not any(row.dropped for row in rows if row.marks) and all(row.dropped for row in rows if not row.marks)


def test_trained_candidates_are_otherwise_the_best_first(result):
    short, names = with_short_names(result)
    table = trained_section(short, frames.ranking_table(short), names)
    ours = [float(row.cells[0].split("\N{NO-BREAK SPACE}")[0]) for row in table.rows if row.group == frames.SURVIVORS]
    assert ours == sorted(ours, reverse=True) and len(ours) == 5
    assert table.headings == ["accuracy", "parameters", "choices that differ"]


def test_a_random_pick_is_not_among_those_that_the_budget_left_untrained(make):
    result = make.budgeted([0.5, 0.4, 0.7], [0.4, 0.6])
    lost = frames.exclusions(result, frames.ranking_table(result))
    untrained, picked = set(lost[lost["kind"] == "untrained"]["candidate"]), {run.name for run in result.random}
    assert untrained and picked <= set(result.kept.dropped) and not untrained & picked


def test_the_page_of_a_budget_tells_its_story(make):
    page = re.sub(r"<[^>]+>|\s", " ", render_search(make.budgeted([0.5, 0.4, 0.7], [0.4, 0.6])))
    page = re.sub(r"[ \N{NO-BREAK SPACE}]+", " ", page)
    assert "Best of the first 2 trainings 50.0 % against 60.0 %" in page
    assert "accuracy, the best of as many random picks" in page
    assert "scored in 3.0 s, trained in 12.0 s" in page
    assert "training all 20 candidates would have taken 1 min 20 s" in page
    assert "Not trained, as the budget was spent on others" in page
