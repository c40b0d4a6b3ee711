from __future__ import annotations

from dataclasses import replace

import pytest

from zerocost.report.front import front_of
from zerocost.report.front_section import front_section
from zerocost.report.names import Names, with_short_names
from zerocost.report.search_figures import front_figure
from zerocost.scoring.card import ScoreCard
from zerocost.search.objectives import Objectives
from zerocost.search.pipeline import SearchResult
from zerocost.tasks import classification, regression


@pytest.fixture
def five(make) -> SearchResult:
    """Five networks, of which the third is dominated and the second is the knee."""
    values = {"a": (0, 100), "b": (8, 300), "c": (7, 400), "d": (9, 900), "e": (10, 1100)}
    scores = {name: {"snip": float(s), "peak_memory": float(m), "params": 10.0} for name, (s, m) in values.items()}
    cards = {name: ScoreCard(one, {}) for name, one in scores.items()}
    table = make.ranked_table(cards, Objectives(("snip", "peak_memory")))
    return SearchResult("cnn", table, table, objectives=("snip", "peak_memory"), front=["a", "b", "d", "e"])


def test_the_front_has_its_knee(five):
    front = front_of(five)
    assert (front.names, front.knee, front.pairs) == (["e", "d", "b", "a"], "b", [("peak_memory", "snip")])


def test_the_front_is_that_of_the_search(found):
    assert set(front_of(found).names) == set(found.front)


def test_rows_have_units_and_marks(five):
    section = front_section(five, Names({name: name for name in "abcde"}, ""))
    assert section.headings == ["snip", "peak_memory", "params"]
    assert [(row.name, row.marks) for row in section.rows] == [("e", []), ("d", []), ("b", ["knee"]), ("a", [])]
    assert section.rows[2].cells[:2] == ["8", "300\N{NO-BREAK SPACE}B"]
    assert section.plots[0].title == "snip against peak_memory"
    assert section.plots[0].text == "4 of 5 are on the front"


def test_the_score_is_shown_against_each_budget(make):
    front = front_of(make.searched(names=("score", "params", "snip")))
    assert front.pairs == [("params", "score"), ("params", "snip")]


def test_limits_are_budgets_too(five):
    alone = replace(five, objectives=("snip",), front=["e"], settings={"where": "peak_memory < 2kB and snip > 0"})
    assert front_of(alone).names == ["e", "d", "b", "a"]
    assert front_of(replace(alone, settings={})) is None


@pytest.mark.parametrize(("task", "best"), [(classification, 0.9), (regression, 0.5)])
def test_a_budget_for_several_objectives_has_the_front_of_the_trained(make, task, best):
    values = [0.5, 0.9, 0.7, 0.6]
    given = replace(make.budgeted(values, [0.55], task), objectives=("score", "params"))
    trained = dict(zip([run.name for run in given.survivors], values, strict=True))
    front = front_of(given)
    assert front.values[task.metric_name].to_dict() == trained
    assert front.falling == {"params"} | {task.metric_name} - {"accuracy"}
    assert trained[front.names[0]] == best
    sizes = given.table.frame["params"]
    smallest = min(trained, key=sizes.get)
    assert smallest in front.names
    section = front_section(given, Names({name: name for name in given.table.frame.index}, ""))
    assert section.headings[:2] == [task.metric_name, "params"]
    assert all("trained" in row.marks for row in section.rows)
    assert "kept" not in [trace.name for trace in section.plots[0].figure.data]


def test_a_budget_that_was_interrupted_before_its_first_training_has_no_front(make):
    given = replace(make.budgeted([0.5], [0.55]), objectives=("score", "params"), survivors=[])
    assert front_of(given) is None


def test_hovering_names_the_architecture_in_full(five):
    result, names = with_short_names(rename(five, {name: f"{name}=1,depth=2,width=16,norm=batch" for name in "abcde"}))
    front = front_of(result)
    figure = front_figure(front.values[["peak_memory", "snip"]], front, [], names)
    knee = next(trace for trace in figure.data if trace.name == "knee")
    values = "peak_memory 300\N{NO-BREAK SPACE}B<br>snip 8"
    assert knee.text[0] == f"{front.knee}<br>b=1, depth=2, width=16, norm=batch<br>{values}"
    assert figure.layout.xaxis.ticksuffix == "B"


def rename(result: SearchResult, names: dict[str, str]) -> SearchResult:
    table = replace(result.table, frame=result.table.frame.rename(index=names))
    return replace(result, table=table, kept=table, front=[names[name] for name in result.front])


@pytest.fixture
def limited(five) -> SearchResult:
    return replace(five, settings={"where": "params < 20 and peak_memory < 2kB and snip > -1"})


def test_limited_costs_are_shown_beside_several_objectives(limited):
    front = front_of(limited)
    assert (front.names, list(front.values)) == (["e", "d", "b", "a"], ["snip", "peak_memory"])
    assert front.pairs == [("peak_memory", "snip"), ("params", "snip")]


def test_steps_join_the_front_where_it_is_of_both_axes(limited):
    section = front_section(limited, Names({name: name for name in "abcde"}, ""))
    lines = [next(t for t in plot.figure.data if t.name == "on the front").mode for plot in section.plots]
    assert lines == ["lines+markers", "markers"]
    assert "not part of the front: params." in section.note
