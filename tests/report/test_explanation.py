from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zerocost.combine import Combination
from zerocost.report.explanation import MOST_CANDIDATES, explain_ranking
from zerocost.report.page import render_search
from zerocost.scoring.table import ScoreTable


def reranked(result, combination):
    """The result of a ranking by another combination."""
    frame = result.table.frame.assign(rank_score=combination(result.table.frame))
    frame = frame.sort_values("rank_score", ascending=False, kind="stable")
    table = ScoreTable(frame, combination, result.table.cards, result.table.candidates)
    return replace(result, table=table, kept=table.narrow(list(frame.index[:3]), {}))


@pytest.fixture(scope="module")
def section(result):
    return explain_ranking(result)


def test_one_row_a_proxy_that_says_what_the_explanation_says(result, section):
    found = result.table.explained(top=len(result.kept)).proxies
    cells = {row[0]: dict(zip(section.headings, row, strict=True)) for row in section.rows}
    assert list(cells) == result.table.proxies
    assert cells["synflow"]["closest to"] == "log_synflow (1.00)"
    assert cells["naswot"]["τ without it"] == f"{found.tau_without['naswot']:.2f}"
    assert cells["naswot"]["new in the top 5"] == f"{found.replaced['naswot']:.0f}"
    assert "ρ with params" in section.headings


def test_the_plot_has_the_kept_and_the_best_of_the_others(result, section, make):
    names = section.plot.figure.layout.yaxis.ticktext
    assert len(names) == MOST_CANDIDATES
    assert [name.startswith("<b>") for name in names] == [True] * 5 + [False] * 15
    assert [name.removesuffix("</b>").split()[-1] for name in names] == [str(place) for place in range(1, 21)]
    assert make.nasty not in "".join(names)
    (heat,) = section.plot.figure.data
    found = result.table.explained()
    np.testing.assert_allclose(heat.z[0], found.moved.iloc[0])
    assert len(heat.text[0]) == len(result.table.proxies)


def test_the_kept_are_shown_wherever_they_are(result):
    last = [str(name) for name in result.table.frame.index[150:155]]
    plot = explain_ranking(replace(result, kept=result.table.narrow(last, {}))).plot
    names = plot.figure.layout.yaxis.ticktext
    assert len(names) == MOST_CANDIDATES
    assert [name.startswith("<b>") for name in names] == [False] * 15 + [True] * 5


def test_a_ranking_of_one_proxy_has_no_plot(make):
    section = explain_ranking(make.ranked_only(12, ["snip"], top=3))
    assert section.plot is None
    assert [row[0] for row in section.rows] == ["snip"]
    assert "after a name" not in section.note


def test_a_vote_is_coloured_by_places(make):
    result = make.ranked_only(20, ["snip", "grasp", "naswot"], top=3)
    section = explain_ranking(reranked(result, Combination({"snip": 1, "grasp": 1, "naswot": 1}, method="vote")))
    (heat,) = section.plot.figure.data
    assert [f"{v:+.0f}".replace("-", "−").replace("+0", "0") for v in np.ravel(heat.z)] == list(np.ravel(heat.text))
    assert "Colours" not in section.note


def test_negative_weights_are_explained(make):
    result = reranked(make.ranked_only(20, ["snip", "grasp"], top=3), Combination({"snip": 1, "grasp": -0.5}))
    section = explain_ranking(result)
    assert {row[0]: row[1] for row in section.rows} == {"snip": "1", "grasp": "−0.5"}
    assert "negative weight" in section.note


def test_of_several_objectives_the_score_is_explained_and_it_says_so(make):
    found = make.searched()
    by = Combination({"log_synflow": 1, "jacob_cov": 1})
    section = explain_ranking(replace(found, combination=by))
    assert [row[0] for row in section.rows] == by.proxies
    assert "not ranked by this score alone" in section.note


def test_without_a_score_there_is_nothing_to_explain(make):
    by = Combination({"log_synflow": 1})
    assert explain_ranking(replace(make.searched(names=("jacob_cov", "params")), combination=by)) is None
    lost = make.ranked_only(5, ["snip"])
    frame = lost.table.frame.assign(snip=np.nan, rank_score=-np.inf)
    assert explain_ranking(replace(lost, table=replace(lost.table, frame=frame))) is None


def test_the_page_has_it(make):
    text = render_search(make.ranked_only(12, ["snip", "naswot"], top=3))
    assert '<section id="why"' in text
    assert "order is explained by params alone" in text
