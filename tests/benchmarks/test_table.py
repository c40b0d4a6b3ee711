"""Tables: gathered, saved, mapped."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocost.base.errors import InputError
from zerocost.benchmarks.base import Query, Table
from zerocost.benchmarks.table import Row, load_table, save_table, table_from_rows

A, B = Query("cifar10", "test_accuracy", 200, 777), Query("cifar10", "params", 0, "mean")


def test_rows_of_one_architecture_are_joined():
    table = table_from_rows([Row("x", {A: 1.0}), Row("y", {B: 2.0}), Row("x", {B: 3.0}), Row("z", {})])
    assert table.texts.tolist() == [b"x", b"y"]
    assert table.columns == (A, B)
    np.testing.assert_array_equal(table.values, [[1, np.nan], [3, 2]])
    assert table.keys is None


def test_keys_are_those_of_the_rows_or_made():
    table = table_from_rows([Row("x", {A: 1.0}, "own"), Row("y", {A: 2.0}), Row("x", {B: 1.0}, "own")], key=str.upper)
    assert table.keys is not None
    assert table.keys.tolist() == [b"own", b"Y"]


def test_two_values_for_one_thing_are_refused():
    assert table_from_rows([Row("x", {A: 1.0}), Row("x", {A: 1.0})]).values.tolist() == [[1.0]]
    with pytest.raises(InputError, match=r"two values of test_accuracy on cifar10 .* seed 777 for x: 1\.0 and 2\.0"):
        table_from_rows([Row("x", {A: 1.0}), Row("x", {A: 2.0})])


def test_nothing_is_no_table():
    with pytest.raises(InputError, match="no architecture with a number"):
        table_from_rows([Row("x", {})])


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
queries = st.builds(Query, texts, texts, st.integers(0, 999), st.integers(0, 999) | st.just("mean"))


@settings(max_examples=30)
@given(st.dictionaries(texts, st.dictionaries(queries, st.floats(allow_nan=False), min_size=1), min_size=1))
def test_what_is_saved_is_loaded(tmp_path_factory, rows):
    made = table_from_rows([Row(text, values) for text, values in rows.items()], key=str.swapcase)
    folder = tmp_path_factory.mktemp("saved") / "table"
    save_table(made, folder, "mine")
    found = load_table(folder, "mine")
    assert found.columns == made.columns
    assert found.keys is not None
    np.testing.assert_array_equal(found.texts, made.texts)
    np.testing.assert_array_equal(found.keys, made.keys)
    np.testing.assert_array_equal(found.values, made.values)
    for i, (text, values) in enumerate(rows.items()):
        assert found.texts[i].decode() == text
        assert {q: v for q, v in zip(found.columns, found.values[:, i], strict=True) if not np.isnan(v)} == values


def test_a_large_table_is_mapped_and_not_read(tmp_path):
    texts = np.array([f"|architecture~{i}|".encode() * 5 for i in range(15_625)])
    columns = tuple([A._replace(seed=seed) for seed in range(200)])
    save_table(Table(texts, None, columns, np.arange(200 * 15_625.0).reshape(200, -1)), tmp_path / "table", "mine")
    table = load_table(tmp_path / "table", "mine")
    last = table.values[:, -1]
    assert isinstance(table.values, np.memmap) and isinstance(table.texts, np.memmap)
    assert last[1] == 2 * 15_625 - 1


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "table").mkdir()
    with pytest.raises(InputError, match="table exists already; remove it, or name another"):
        save_table(table_from_rows([Row("x", {A: 1.0})]), tmp_path / "table", "mine")
    assert not any((tmp_path / "table").iterdir())


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="no space"):
        save_table(table_from_rows([Row("x", {A: 1.0})]), tmp_path / "deep" / "table", "mine")
    assert not any((tmp_path / "deep").iterdir())


@pytest.mark.parametrize("broken", ["table.json", "architectures.npy", "values.npy"])
@pytest.mark.parametrize("damage", ["remove", "cut", "replace"])
def test_damage_is_named(tmp_path, broken, damage):
    save_table(table_from_rows([Row("x", {A: 1.0}), Row("y", {A: 1.0})]), tmp_path / "table", "mine")
    file = tmp_path / "table" / broken
    if damage == "remove":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-3])
    elif broken.endswith(".npy"):
        np.save(file, np.array([{"an": "object"}]), allow_pickle=True)
    else:
        file.write_text(json.dumps({"format": 1}))
    with pytest.raises(InputError, match=r"table is a damaged table: .*convert its source again"):
        load_table(tmp_path / "table", "mine")


def test_files_that_do_not_fit_are_named(tmp_path):
    save_table(table_from_rows([Row("x", {A: 1.0})]), tmp_path / "table", "mine")
    np.save(tmp_path / "table" / "values.npy", np.zeros((2, 1)))
    with pytest.raises(InputError, match="do not fit each other"):
        load_table(tmp_path / "table", "mine")


def test_another_benchmark_or_format_is_named(tmp_path):
    save_table(table_from_rows([Row("x", {A: 1.0})]), tmp_path / "table", "mine")
    with pytest.raises(InputError, match="holds benchmark mine in format 1; expected yours in format 1"):
        load_table(tmp_path / "table", "yours")
    head = tmp_path / "table" / "table.json"
    head.write_text(head.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(InputError, match="in format 2; expected mine in format 1"):
        load_table(tmp_path / "table", "mine")
