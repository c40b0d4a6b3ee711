from __future__ import annotations

import runpy
import sys

import pandas as pd
import pytest

from zerocost import ScoreTable, SearchResult
from zerocost.cli import output

DATA = ("--data", "digits:8", "--batch", 16, "--proxies", "snip")


def test_a_ranking_as_csv_and_as_parquet_that_pandas_opens(run, user_file, tmp_path):
    pytest.importorskip("pyarrow")
    csv, parquet = tmp_path / "ranking.csv", tmp_path / "ranking.parquet"
    result = run("rank", f"{user_file}:candidates", *DATA, "--csv", csv, "--parquet", parquet)
    assert result.code == 0 and f"wrote {csv}" in result.out and f"wrote {parquet}" in result.out
    opened = pd.read_parquet(parquet)
    assert list(opened.index) == ["w16", "w8", "w4"] and list(opened.columns) == ["snip", "params", "rank_score"]
    pd.testing.assert_frame_equal(pd.read_csv(csv, index_col=0), opened, check_index_type=False)
    assert set(ScoreTable.load(parquet).cards) == {"w16", "w8", "w4"}


def test_a_search_as_csv_and_parquet(run, user_file, tmp_path):
    pytest.importorskip("pyarrow")
    csv, parquet = tmp_path / "found.csv", tmp_path / "found.parquet"
    options = ("--candidates", 4, "--keep", 1, "--epochs", 0, "--csv", csv, "--parquet", parquet)
    assert run("search", "--space", f"{user_file}:space", *DATA, *options).code == 0
    assert pd.read_csv(csv)["kept"].sum() == pd.read_parquet(parquet)["kept"].sum() == 1
    assert len(SearchResult.load(parquet).table) == 4


def test_what_cannot_be_written_is_said_before_anything_is_scored(run, user_file, tmp_path, monkeypatch):
    target = ("rank", f"{user_file}:candidates", *DATA)
    assert "there is no folder" in run(*target, "--csv", tmp_path / "gone" / "a.csv").err
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    result = run(*target, "--parquet", tmp_path / "a.parquet")
    assert (result.code, result.out) == (2, "") and "zerocost[parquet]" in result.err


def test_a_parquet_has_its_suffix(run, user_file, tmp_path):
    pytest.importorskip("pyarrow")
    result = run("rank", f"{user_file}:candidates", *DATA, "--parquet", tmp_path / "a.csv")
    assert result.code == 2 and "takes a .parquet file" in result.err


@pytest.mark.parametrize(("columns", "width"), [("120", 120), (None, 200)])
def test_a_piped_table_is_as_wide_as_columns_says(columns, width, run, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    loaded_again = runpy.run_path(output.__file__)["out"]
    monkeypatch.setattr("zerocost.cli.lists.out", loaded_again)
    assert width - 10 < max(map(len, run("benchmarks").out.splitlines())) <= width
