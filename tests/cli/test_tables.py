from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.cli.tables import print_explanation
from zerocost.combine import Combination
from zerocost.scoring.select import select
from zerocost.scoring.table import ScoreTable

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
