from __future__ import annotations

import csv
import math
import sqlite3
import sys
from contextlib import closing

import pandas as pd
import pytest

from zerocost.base.errors import InputError, MissingExtraError
from zerocost.store import Score, Store, transfer
from zerocost.store.transfer import export, merge, open_existing, summarise

ROWS = {
    ("a", 0, "snip"): Score(0.1, None),
    ("a", 0, "zen"): Score(None, 'no, "batch"\nof one'),
    ("|ß~0|", 2**40, "snip"): Score(5e-324, None),
}


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(transfer, "_PAGE", 2)


def test_what_a_store_holds_by_what_it_depends_on(place):
    with Store(place) as kept:
        kept.add("one", ROWS)
        kept.add("two", {("a", 0, "snip"): Score(1.0, None)}, about="cnn at full")
        kept.add("one", {("b", 0, "snip"): Score(1.0, None)}, about="mlp at full")
        assert summarise(kept) == [
            ("one", "mlp at full", 0, 2**40, 3, 2, 4, 1),
            ("two", "cnn at full", 0, 0, 1, 1, 1, 0),
        ]


def test_every_row_is_exported_to_csv_and_parquet(place, tmp_path, small_pages):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    with Store(place) as kept:
        kept.add("one", ROWS, about="cnn, full")
        kept.add("two", ROWS)
        assert export(kept, tmp_path / "a.csv") == export(kept, tmp_path / "a.parquet") == 6
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        found = {
            (r["made"], r["about"], r["architecture"], int(r["seed"]), r["proxy"]): r for r in csv.DictReader(file)
        }
    frame = pd.read_parquet(tmp_path / "a.parquet").set_index(["made", "about", "architecture", "seed", "proxy"])
    assert len(found) == len(frame) == 6
    for made, about in (("one", "cnn, full"), ("two", "")):
        for key, (value, reason) in ROWS.items():
            row, parquet = found[made, about, *key], frame.loc[(made, about, *key)]
            assert (row["value"], row["reason"]) == ("" if value is None else repr(value), reason or "")
            assert math.isnan(parquet["value"]) if value is None else parquet["value"] == value
            assert pd.isna(parquet["reason"]) if reason is None else parquet["reason"] == reason


def test_merging_keeps_what_is_there_and_says_what_differs(place, tmp_path, small_pages):
    with Store(tmp_path / "a") as a, Store(tmp_path / "b") as b, Store(place) as both:
        both.add("one", {("a", 0, "snip"): Score(1.0, None), ("b", 0, "snip"): Score(None, "NaN")})
        a.add("one", {("a", 0, "snip"): Score(1.0 + 1e-9, None), ("b", 0, "snip"): Score(2.0, None)})
        b.add("one", {("a", 0, "snip"): Score(3.0, None), ("b", 0, "snip"): Score(None, "NaN")}, about="cnn")
        b.add("two", {("a", 0, "snip"): Score(4.0, None)})
        merged = merge([a, b], both)
        assert merged == (1, 1, 3, 1, "snip of a, seed 0: kept 1.0, not 3.0")
        assert both.known("one") == {("a", 0, "snip"): Score(1.0, None), ("b", 0, "snip"): Score(2.0, None)}
        assert both.known("two") == b.known("two")
        assert [one.about for one in summarise(both)] == ["cnn", ""]
        assert merge([both], both) == (0, 0, 3, 0, "")


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    for where in (tmp_path / "none.db", f"sqlite:///{tmp_path}/none.db"):
        with pytest.raises(InputError, match=r"there is no store .*none\.db"):
            open_existing(where)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_and_a_missing_pyarrow_say_what_to_do(tmp_path, monkeypatch):
    with Store(None) as kept:
        with pytest.raises(InputError, match=r"exported to a \.csv or \.parquet file, but got .*a\.txt"):
            export(kept, tmp_path / "a.txt")
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'zerocost\[parquet\]'"):
            export(kept, tmp_path / "a.parquet")


@pytest.mark.parametrize(("statement", "held"), [("", "nothing"), ("CREATE TABLE mine (a)", "the tables 'mine'")])
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path, statement, held):
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(statement)
    file.touch()
    before = file.read_bytes()
    with pytest.raises(InputError, match=f"other.db is no store of scores: it holds {held}"):
        open_existing(file)
    assert file.read_bytes() == before
