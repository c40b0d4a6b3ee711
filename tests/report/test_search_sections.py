from __future__ import annotations

from dataclasses import replace

from zerocost.combine import Combination
from zerocost.report import search_sections as sections


def test_front_counts_who_is_on_it(found):
    (plot,) = sections.front(found)
    assert plot.title == "score against params"
    assert plot.text == f"{len(found.front)} of 15 are on the front"


def test_one_objective_has_no_front(result):
    assert sections.front(result) == []


def test_history_says_when_nothing_better_came(make):
    result = make.ranked_only(12, ["snip"])
    best_first = sections.history(replace(result, order=list(result.table.frame.index)))
    best_last = sections.history(replace(result, order=list(result.table.frame.index[::-1])))
    assert best_first is not None and best_last is not None
    assert best_first.plot.text == "nothing better after 1 of 12"
    assert best_last.plot.text == "better to the very end"


def test_history_says_what_a_score_compares_with(make):
    result = make.ranked_only(12, ["snip"])
    assert "with all that were judged" in sections.told(result)
    fixed = Combination({"snip": 1.0}).against(result.table.frame)
    assert "with 12 reference networks" in sections.told(replace(result, combination=fixed))


def test_a_ranking_has_no_history(result):
    assert sections.history(result) is None


def test_one_fidelity_has_no_ladder(result):
    assert sections.ladder(result) == []


def test_ladder_names_both_ends(found):
    (step,) = sections.ladder(found)
    assert step.plot.title == "width=0.5 → full size"
    assert step.follows[0][0] == "order"
    assert step.follows[0][1] == step.plot.text
