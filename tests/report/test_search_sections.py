from __future__ import annotations

from dataclasses import replace

from zerocost.combine import Combination
from zerocost.report import search_sections as sections


def test_history_says_when_nothing_better_came(make):
    result = make.ranked_only(12, ["snip"])
    best_first = sections.history_section(replace(result, order=list(result.table.frame.index)))
    best_last = sections.history_section(replace(result, order=list(result.table.frame.index[::-1])))
    assert best_first is not None and best_last is not None
    assert best_first.plot.text == "no improvement after 1 of 12"
    assert best_last.plot.text == "improved until the end"


def test_history_says_what_a_score_compares_with(make):
    result = make.ranked_only(12, ["snip"])
    assert "with all that were measured" in sections.history_note(result)
    fixed = Combination({"snip": 1.0}).against(result.table.frame)
    assert "with 12 reference networks" in sections.history_note(replace(result, combination=fixed))


def test_a_ranking_has_no_history(result):
    assert sections.history_section(result) is None


def test_one_fidelity_has_no_ladder(result):
    assert sections.fidelity_sections(result) == []


def test_ladder_names_both_ends(found):
    (step,) = sections.fidelity_sections(found)
    assert step.plot.title == "width=0.5 → full size"
    assert step.follows[0][0] == "order"
    assert step.follows[0][1] == step.plot.text
