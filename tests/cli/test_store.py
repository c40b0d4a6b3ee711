from __future__ import annotations

import csv

import pytest

from zerocost.store import Score, Store


@pytest.fixture
def stores(tmp_path):
    for name, value in (("one", 1.0), ("two", 2.0)):
        with Store(tmp_path / f"{name}.db") as kept:
            kept.add("run", {("a", 0, "snip"): Score(value, None), (name, 0, "zen"): Score(None, "NaN")}, about="[cnn]")
    return tmp_path / "one.db", tmp_path / "two.db"


def test_stores_are_shown_merged_and_exported(run, stores, tmp_path):
    both, file = tmp_path / "both.db", tmp_path / "both.csv"
    merged = run("store", "merge", *stores, "--into", both)
    assert merged.code == 0 and "3 scores added, 1 known" in merged.out
    assert "1 score differed" in merged.out and "snip of a, seed 0: kept 1.0, not 2.0" in merged.out
    assert "3 scores, of them 2 failures" in run("store", "info", both).out
    assert "[cnn]" in run("store", "info", both).out
    shown = run("store", "info", both, "--json").json
    counts = {"architectures": 3, "proxies": 2, "scores": 3, "failures": 2}
    assert shown == [{"made": "run", "about": "[cnn]", "first_seed": 0, "last_seed": 0, **counts}]
    assert run("store", "export", both, "--to", file).code == 0
    with file.open(newline="") as rows:
        assert [(row["architecture"], row["value"]) for row in csv.DictReader(rows)] == [
            *(("a", "1.0"), ("one", ""), ("two", ""))
        ]


def test_scores_of_other_batches_are_told_apart(run, tmp_path):
    with Store(tmp_path / "a.db") as kept:
        for made, seeds in (("0123456789", (3,)), ("1123456789", (3,)), ("2123456789", (4, 6))):
            kept.add(made, {("a", seed, "snip"): Score(1.0, None) for seed in seeds}, about="cnn")
    rows = [line.split() for line in run("store", "info", tmp_path / "a.db").out.splitlines()[2:]]
    assert [row[:-4] for row in rows] == [
        ["cnn", "01234567", "3"],
        ["cnn", "11234567", "3"],
        ["cnn", "21234567", "4", "to", "6"],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "none.db"], "there is no store none.db"),
        (["export", "none.db", "--to", "a.csv"], "there is no store none.db"),
        (["export", "none.db", "--to", "a.json"], ".csv or .parquet"),
        (["export", "none.db", "--to", "none/a.csv"], "there is no folder"),
        (["merge", "none.db", "--into", "none/a.db"], "there is no folder"),
        (["info", "redis://a"], "scores cannot be kept in redis://"),
        (["info", "postgresql://me:secret@127.0.0.1:1/db"], "cannot open the scores in postgresql://me:***@127.0.0.1"),
        (["info", "other.txt"], "file is not a database; give a file of scores"),
        (["merge", "other.txt", "--into", "new.db"], "cannot open the scores in other.txt: "),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.txt").write_text("not a database" * 100)
    done = run("store", *arguments)
    assert done.code == 2 and done.err.startswith("error: ") and done.err.count("\n") == 1, done
    assert message in done.err and "secret" not in done.err
    assert not (tmp_path / "none.db").exists()


def test_a_group_without_a_subcommand_shows_its_help(run):
    done = run("store")
    assert (done.code, done.err) == (2, "") and "merge" in done.out
