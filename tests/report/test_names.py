from __future__ import annotations

from dataclasses import replace

from zerocost.report.names import choices, with_short_names
from zerocost.search.pipeline import SearchResult


def test_names_stay_where_none_is_long(make):
    result = make.ranked_only(5, ["snip"])
    same, names = with_short_names(result)
    assert same is result and names.note == ""
    assert names.title(result.table.frame.index[0]) == ""


def test_candidates_are_numbered_as_they_are_ranked_first_those_scored_again(found):
    short, names = with_short_names(found)
    again, first = len(found.table), len(found.earlier[0])
    assert list(short.table.frame.index) == [f"#{place}" for place in range(1, again + 1)]
    assert [names.full[name] for name in short.table.frame.index] == list(found.table.frame.index)
    assert set(short.earlier[0].frame.index) == {f"#{place}" for place in range(1, first + 1)}
    assert {names.full[name] for name in short.order} == set(found.order)
    assert [names.full[run.name] for run in short.survivors] == [run.name for run in found.survivors]


def test_random_picks_from_outside_the_ranking_have_their_own_numbers(found):
    short, names = with_short_names(found)
    assert [run.name for run in short.random] == ["R1", "R2"]
    assert names.full["R1"] == "elsewhere" and "R1" in names.note


def test_everything_that_names_a_candidate_is_renamed(make):
    result = make.budgeted([0.5, 0.6], [0.5])
    long = {name: f"{name},{'and=more' * 4}" for name in result.table.frame.index}
    cards = {long[name]: card for name, card in result.table.cards.items()}
    table = make.table_of(cards, ["snip"])
    kept = [long[name] for name in result.kept.frame.index]
    runs = [replace(run, name=long[run.name]) for run in result.survivors]
    given = SearchResult(
        **{"space": "cnn", "table": table, "survivors": runs, "front": kept, "order": list(table.frame.index)},
        **{"kept": table.narrow(kept, {long[name]: why for name, why in result.kept.dropped.items()})},
        **{"rejected": {"too large": "why"}, "expected": [e._replace(name=long[e.name]) for e in result.expected]},
    )
    short, _ = with_short_names(given)
    assert short.front == ["#1", "#2"] == [one.name for one in short.expected] == [run.name for run in short.survivors]
    assert set(short.table.cards) == set(short.table.frame.index) == set(short.order)
    assert set(short.kept.dropped) == set(short.order[2:]) and short.rejected == {"too large": "why"}


def test_a_single_architecture_keeps_its_choices():
    assert choices(["depth=2,width=8"]) == {"depth=2,width=8": "depth=2, width=8"}
    assert choices([]) == {}


def test_cells_that_differ_are_told_without_what_all_share():
    one, other = (f"Genotype(normal=[('skip', {i}), ('pool', 1)], concat=[2, 3])" for i in (0, 1))
    assert choices([one, other]) == {
        one: "normal=[('skip', 0), ('pool', 1)]",
        other: "normal=[('skip', 1), ('pool', 1)]",
    }
