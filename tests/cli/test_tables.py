from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from zerocost import tasks
from zerocost.cli.output import out
from zerocost.cli.runs import print_failed_runs
from zerocost.cli.tables import print_budget, print_explanation, print_failures, print_ranking, print_trained
from zerocost.combine import Combination
from zerocost.report import gain
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.select import select
from zerocost.scoring.table import ScoreTable
from zerocost.search.pipeline import SearchResult
from zerocost.search.result import Expected
from zerocost.tasks import Task
from zerocost.train import Epoch, Run

BOTH = Combination({"a": 1, "b": 1})


def table(combination: Combination = BOTH, **scores: list[float]) -> ScoreTable:
    frame = pd.DataFrame(scores, index=["[x]", "y", "z", "w"], dtype=float)
    ranked = frame.assign(rank_score=combination(frame)).sort_values("rank_score", ascending=False, kind="stable")
    return ScoreTable(ranked, combination, dict.fromkeys(frame.index), dict.fromkeys(frame.index))


def printed(capsys: pytest.CaptureFixture[str], ranked: ScoreTable, top: int = 2) -> list[str]:
    print_explanation(ranked, select(ranked, top=top))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_moves_then_proxies_then_size(capsys):
    lines = printed(capsys, table(a=[4, 3, 2, 1], b=[4, 2, 3, 1], params=[1, 2, 3, 4]))
    assert lines[1] == "why these, by the log-rank sum of a, b"
    assert lines[3].split() == ["1", "[x]", "▲", "0.59", "(0)", "▲", "0.59", "(0)"]
    assert lines[4].split() == ["2", "y", "▲", "0.30", "(+1)", "▼", "0.10", "(0)"]
    assert [line.split()[0] for line in lines[7:10]] == ["proxy", "a", "b"]
    assert lines[-1].startswith("90 % of the score’s order is explained by params alone (Spearman −0.95, the smaller")


def test_a_ranking_has_the_columns_that_there_is_room_for(capsys, monkeypatch):
    ranked = table(a=[4, 3, 2, 1], a_long_name=[4, 2, 3, 1], params=[1, 2, 3, 4], combination=Combination({"a": 1}))
    cards = dict.fromkeys(ranked.frame.index, ScoreCard({}, {}, [], {}))
    for width, columns, left_out in (
        (48, "candidate a a_long_name params rank_score", None),
        (36, "candidate a params rank_score", "no room here for a_long_name; --csv FILE writes all"),
    ):
        monkeypatch.setattr(out, "_width", width)
        print_ranking(replace(ranked, cards=cards), "a title")
        lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        assert lines[2].split() == columns.split() and len(lines[3].split()) == 1 + len(columns.split())
        assert (left_out or lines[-1]) in " ".join(lines) and ("no room" in " ".join(lines)) == bool(left_out)


def test_an_explanation_names_every_proxy_in_full_at_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setattr(out, "_width", 80)
    scores = {f"a_very_long_name_{i}": [4.0, 3.0 - i, 2.0, 1.0] for i in range(5)}
    assert "…" not in "".join(printed(capsys, table(Combination(dict.fromkeys(scores, 1)), **scores)))


def test_failed_scores_and_single_proxies_have_dashes(capsys):
    lines = printed(capsys, table(a=[4, 3, 2, 1], b=[np.nan, 2, 3, 1], params=[1, 2, 3, 4]))
    assert any("[x]" in line and line.endswith("–") for line in lines)
    alone = printed(capsys, table(Combination({"a": 1}), a=[4, 3, 2, 1], params=[1, 1, 1, 1]))
    assert not any("places" in line for line in alone)
    assert alone[-1].startswith("How much of the score is only size cannot be told")


def test_of_many_proxies_those_that_moved_most_are_shown(capsys):
    rng = np.random.default_rng(0)
    scores = {f"p{i}": rng.normal(size=4).tolist() for i in range(9)}
    lines = printed(capsys, table(Combination(dict.fromkeys(scores, 1)), **scores))
    assert lines[2].split()[0] == "candidate" and len(lines[2].split()) == 7
    assert "3 proxies that moved these less not shown" in "".join(lines)
    assert sum(line.startswith("p") and line[1].isdigit() for line in lines) == 9


def test_it_says_when_the_order_is_another(capsys):
    ranked = table(a=[4, 3, 2, 1], b=[4, 2, 3, 1], params=[1, 2, 3, 4])
    print_explanation(ranked, ranked, Combination({"params": 1}))
    assert "not by this score alone" in capsys.readouterr().out


def budget(values: dict[str, float], picks: dict[str, float], task: Task) -> SearchResult:
    """A search that trained these candidates in this order; the first without an expectation."""
    cards = {name: ScoreCard({"a": 1.0, "params": 3000.0}, {}) for name in (*values, *picks)}
    scores = ScoreTable.of(cards, {}, Combination({"a": 1}), ["a", "params"], 0.0)

    def runs(found: dict[str, float]) -> list[Run]:
        words = {"metric_name": task.metric_name, "higher_is_better": task.higher_is_better}
        return [Run.of(name, 0, [Epoch(1, 1.0, 1.0, value, 1.0)], **words) for name, value in found.items()]

    expected = [Expected(name, 0.5 if place else None, 0.1 if place else None) for place, name in enumerate(values)]
    best = sorted(values, key=values.__getitem__, reverse=task.higher_is_better)
    return SearchResult(
        **{"space": "cnn", "table": scores, "kept": scores.narrow(best, {}), "task": task, "expected": expected},
        **{"survivors": runs(values), "random": runs(picks), "trust": {"score": 0.25, "[a]": -0.125}},
    )


def test_a_budget_is_the_best_so_far_beside_as_many_random_picks(capsys, monkeypatch):
    monkeypatch.setattr(gain, "_ENOUGH_FOR_TRUST", 3)
    print_budget(budget({"x": 0.4, "y": 0.7, "z": 0.6}, {"v": 0.5, "w": 0.6}, tasks.classification))
    lines = [line.rstrip().replace("\N{NO-BREAK SPACE}%", "") for line in capsys.readouterr().out.splitlines()]
    assert lines[1].split() == ["trainings", "1", "2", "3"]
    assert lines[2].split()[-3:] == ["40.0", "70.0", "70.0"]
    assert lines[3].split()[-3:] == ["55.0", "60.0", "–"]
    assert lines[4] == "a standard deviation is worth, in points of expected accuracy: score +25.0, [a] −12.5"
    assert lines[5] == "Training 2 of 3 was the first as good as the best of 2 random picks, 60.0."


def test_few_trainings_say_nothing_of_scores(capsys):
    print_budget(budget({"x": 0.4, "y": 0.7, "z": 0.6}, {"v": 0.5}, tasks.classification))
    assert "standard deviation" not in capsys.readouterr().out


def test_a_budget_of_a_metric_of_which_less_is_better(capsys, monkeypatch):
    monkeypatch.setattr(gain, "_ENOUGH_FOR_TRUST", 2)
    print_budget(budget({"x": 4.0, "y": 7.0}, {"v": 5.0}, tasks.regression))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[2].split()[-2:] == ["4", "4"]
    assert lines[4].startswith("a standard deviation is worth, in expected mean squared error saved: score +0.25")
    assert lines[5] == "Training 1 of 2 was the first as good as the best of 1 random pick, 5."


def test_a_training_that_failed_is_said_to_have_failed_once(capsys):
    found = budget({"x": 0.4, "y": 0.7}, {}, tasks.classification)
    found.survivors[0] = failed = replace(found.survivors[0], failure="out of memory")
    print_trained(found)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["2", "x", "failed", "–", "3,000"]
    print_failed_runs([*found.survivors, failed, replace(failed, seed=1)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"training x (seed {seed}) failed: out of memory" for seed in (0, 1)]


def test_the_reasons_of_most_failures_come_first_and_the_rest_are_counted(capsys):
    reasons = {"v": "a", "w": "b", "x": "c", "y": "d of 64x3", "[z]": "d of 64x5"}
    cards = {name: ScoreCard({"params": 1.0}, {"snip": reason}) for name, reason in reasons.items()}
    print_failures(ScoreTable.of(cards, {}, Combination({"snip": 1}), ["snip", "params"], 0.0), limit=2)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines[0] == "scores failed for 5 of 5 candidates"
    assert lines[1:] == ["  d of … (snip): y, [z]", "  a (snip): v", "  and 2 more reasons, which --json lists"]


def test_interrupted_before_its_first_training_a_budget_has_no_tables(capsys):
    found = budget({"x": 0.4, "y": 0.7}, {}, tasks.classification)
    found.survivors, found.kept = [], found.kept.narrow([], {})
    print_trained(found)
    print_budget(found)
    assert capsys.readouterr().out == ""


def test_a_single_round_of_trainings_has_no_column_for_what_was_expected(capsys):
    print_trained(budget({"x": 0.4}, {"v": 0.5}, tasks.classification))
    assert capsys.readouterr().out.splitlines()[2].split() == ["candidate", "accuracy", "params"]


def test_trained_candidates_stand_with_what_was_expected_of_them(capsys):
    print_trained(budget({"x": 0.4, "[y]": 0.7, "z": 0.6}, {"v": 0.5}, tasks.classification), limit=2)
    lines = [line.rstrip().replace("\N{NO-BREAK SPACE}%", "") for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == "trained, 3 of 4, best first"
    assert [line.split() for line in lines[3:5]] == [
        ["1", "[y]", "70.0", "50.0", "3,000"],
        ["2", "z", "60.0", "50.0", "3,000"],
    ]
    assert lines[5] == "… and 1 more; --json gives all"
