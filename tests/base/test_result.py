"""Each kind of result in a file and back, shown and plotted."""

from __future__ import annotations

import dataclasses
import json
import math
import sys

import pandas as pd
import pytest
from torch import nn

from benchmarks.tiny import evaluation
from zerocost.base.errors import InputError, MissingExtraError
from zerocost.combine import Combination
from zerocost.evaluation.evaluation import Evaluation
from zerocost.scoring.card import PassRecord, ScoreCard
from zerocost.scoring.select import select
from zerocost.scoring.table import ScoreTable
from zerocost.search.result import SearchResult, Stage
from zerocost.train import Epoch, Run

CARD = ScoreCard(
    {"a": 1.5, "params": 2e6},
    {"b": "no <gradient>"},
    (PassRecord("loss", 1, 1, 2.5, {"pixels": 8}),),
    {"seed": 0, "inputs": (4, 3), "loss": nn.Identity()},
    {"a": 0.25},
)


def table() -> ScoreTable:
    cards = {
        "<x>": CARD,
        "y": ScoreCard({"a": 2.0, "b": 3.0, "params": 10.0}, {}),
        "dead": ScoreCard({}, {"a": "no a"}),
    }
    reference = pd.DataFrame({"a": [1.0, 2.0, math.nan], "b": [1.0, 2.0, 3.0]})
    wanted = Combination({"a": 1, "b": 0.5}, where="params < 1e7", reference=reference)
    return ScoreTable.of(cards, dict.fromkeys(cards, nn.Identity), wanted, ["a", "b", "params"], 1.5)


def search(trained: bool = True) -> SearchResult:
    made = table()
    runs = [Run.of(name, 0, [Epoch(1, 1.0, 2.0, accuracy, 3.0)]) for name, accuracy in (("<x>", 0.5), ("y", 0.75))]
    return SearchResult(
        "mlp",
        made,
        select(made, top=1),
        survivors=[runs[1], Run.of("y", 1, [], failure="diverged")] if trained else [],
        random=runs[:1] if trained else [],
        stages=[Stage("score", 3, 0.5, "a, b")],
        settings={"seed": 0, "limits": None, "tolerance": math.inf},
        combination=made.combination,
        front=["y"],
        order=["dead", "<x>", "y"],
        rejected={"z": "too large"},
        earlier=[made],
        sizes={"classes": 10},
        sample=object(),
    )


RESULTS = {
    "card": CARD,
    "table": table(),
    "narrowed": select(table(), "params < 100"),
    "search": search(),
    "untrained": search(trained=False),
    "evaluation": evaluation(),
    "one-seed": evaluation(seeds=1),
}
each = pytest.mark.parametrize("made", RESULTS.values(), ids=RESULTS)


@each
@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_a_file_gives_back_what_was_saved(made, suffix, tmp_path):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    made.save(path := tmp_path / f"result.{suffix}")
    again = type(made).load(path)
    assert again == made and again is not made
    assert again.to_frame().equals(made.to_frame())
    assert repr(again) == repr(made) and again._repr_html_() == made._repr_html_() and again.plot() == made.plot()
    if suffix == "json":
        json.loads(path.read_text(), parse_constant=pytest.fail)
    else:
        assert pd.read_parquet(path).equals(made.to_frame())


def test_results_differ_where_anything_differs():
    assert dataclasses.replace(CARD, scores={"a": 1.5, "params": 3.0}) != CARD != dict(CARD)
    assert dataclasses.replace(table(), seconds=2.0) != table() == table()
    assert search(trained=False) != search() == search()
    assert evaluation(seeds=1) != evaluation()


def test_what_was_loaded_still_works(tmp_path):
    search().save(path := tmp_path / "search.json")
    again = SearchResult.load(path)
    assert again.best == "y" and again.objectives == ("score",) and math.isinf(again.settings["tolerance"])
    assert again.table.candidates == {} and list(select(again.table, top=1).frame.index) == ["y"]
    assert again.table.combination(again.table.frame).equals(table().combination(table().frame))
    with pytest.raises(InputError, match="were not kept"):
        again.export(tmp_path)
    evaluation().save(path := tmp_path / "evaluation.json")
    assert Evaluation.load(path).compare("good", "params") == evaluation().compare("good", "params")
    assert Evaluation.load(path).agreement.equals(evaluation().agreement)


@each
def test_a_result_is_shown_in_a_few_lines_and_names_are_text_in_html(made):
    assert len(repr(made).splitlines()) < 30 and repr(made).startswith(f"{type(made).__name__}: ")
    shown = made._repr_html_()
    assert "&lt;" in shown or "<x>" not in repr(made)
    for name in ("<x>", "<gradient>", "<br>"):
        assert name not in shown


def test_long_names_are_cut_and_long_tables_too():
    cards = {f"{'long' * 40}-{i}": ScoreCard({"a": float(i)}, {}) for i in range(100)}
    made = ScoreTable.of(cards, {}, Combination({"a": 1}), ["a"], 0.0)
    assert max(map(len, repr(made).splitlines())) < 120 and len(repr(made).splitlines()) < 30
    assert len(made.plot().data[0].y) == 30


def test_the_plots_show_the_numbers():
    [bar] = CARD.plot().data
    assert list(bar.x) == [1.5, 2e6] and list(bar.text) == ["1.5", "2.0 M".replace(" ", "\N{NO-BREAK SPACE}")]
    [heat] = table().plot().data
    assert heat.z[:2, 0].tolist() == [1.0, 0.0] and list(heat.x) == ["a", "b", "params"]
    survivors, random = search().plot().data
    assert list(survivors.y) == [0.75] and list(random.y) == [0.5]
    points, best = search(trained=False).plot().data
    assert len(points.y) == 3 and math.isnan(points.y[0]) and best.y[-1] == table().frame["rank_score"].max()


def test_a_search_as_a_table_says_what_was_kept_and_trained():
    frame = search().to_frame()
    assert frame["kept"].sum() == 1 and frame["accuracy"].to_dict()["y"] == 0.75
    assert math.isnan(frame.at["dead", "accuracy"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "holds no result; expected a file that ScoreCard.save wrote"),
        ("[1", "holds no result"),
        ("[1]", "holds no result"),
        ('{"zerocost result": "ScoreTable", "format": 1, "values": {}}', "holds a ScoreTable, not a ScoreCard"),
        ('{"zerocost result": "ScoreCard", "format": 2, "values": {}}', "has format 2, but .* reads format 1"),
        ('{"zerocost result": "ScoreCard", "format": 1, "values": {}}', "is damaged: KeyError: 'passes'"),
        ('{"zerocost result": "ScoreCard", "format": 1, "values": 3}', "is damaged"),
    ],
)
def test_a_file_that_is_no_such_result(text, problem, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError, match=problem):
        ScoreCard.load(path)


def test_files_that_cannot_be_used(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"cannot read .*nothing.json: No such file"):
        ScoreCard.load(tmp_path / "nothing.json")
    for path in ("card.pkl", "card"):
        with pytest.raises(InputError, match=r"kept in a \.json or \.parquet file, but got"):
            CARD.save(tmp_path / path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'zerocost\[parquet\]'"):
        CARD.save(tmp_path / "card.parquet")
