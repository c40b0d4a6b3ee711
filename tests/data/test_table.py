"""Tables with a column to predict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.data import draw, load, split
from zerocost.data.dataset import declared_task

FRAME = pd.DataFrame(
    {
        "size": np.arange(40.0) ** 2,
        "rooms": np.arange(40) % 5,
        "colour": ["red", "blue", "green", "red"] * 10,
        "name": [f"house {i}" for i in range(40)],
        "price": np.arange(40.0) * 3 + 0.5,
        "kind": ["old", "new"] * 20,
        "stars": np.arange(40) % 3 + 3,
    }
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "houses.csv"
    FRAME.to_csv(path, index=False)
    return path


def test_numbers_are_standardised_and_texts_are_categories(file):
    table = load(f"csv:{file}:price")
    (numbers, categories), target = table[0]
    assert declared_task(table) == "regression" and table.left_out == ["name"]
    assert table.numbers == ["size", "rooms", "stars"] and table.categories == {"colour": 4, "kind": 3}
    expected = (FRAME["size"] - FRAME["size"].mean()) / FRAME["size"].std(ddof=0)
    assert torch.stack([row[0][0][0] for row in table]).tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert numbers.dtype == torch.float32 and categories.tolist() == [3, 2]
    mean, deviation = table.target_scale
    assert (mean, deviation) == pytest.approx((FRAME["price"].mean(), FRAME["price"].std(ddof=0)))
    assert float(target) * deviation + mean == pytest.approx(0.5, abs=1e-4)
    batch = draw(table, 8)
    assert batch.inputs[0].shape == (8, 3) and batch.inputs[1].shape == (8, 2) and batch.targets.shape == (8,)


def test_the_training_part_alone_standardises(file):
    table = load(f"csv:{file}:price")
    train, held_out = split(table, 0.25, seed=3)
    values = train.images[0]
    assert torch.allclose(values.mean(0), torch.zeros(3), atol=1e-6)
    assert torch.allclose(values.std(0, correction=0), torch.ones(3), atol=1e-5)
    assert abs(float(train.targets.mean())) < 1e-6 and abs(float(held_out.images[0].mean())) > 1e-3
    assert len(train) == 30 and len(held_out) == 10 and declared_task(train) == "regression"


def test_texts_and_few_whole_numbers_are_classes_unless_another_task_is_named(file):
    kinds, stars = load(f"csv:{file}:kind"), load(f"csv:{file}:stars")
    assert kinds.classes == ["new", "old"] and [row[1] for row in kinds][:3] == [1, 0, 1]
    assert stars.classes == [3, 4, 5] and stars.task == "classification"
    _, held_out = split(kinds, 0.25)
    assert held_out.targets.bincount().tolist() == [5, 5]
    numbers = load(f"csv:{file}:stars", task="regression")
    assert numbers.task == "regression" and numbers.targets.dtype == torch.float32
    assert load(stars, task="regression").task == "regression" and load(stars).task == "classification"
    with pytest.raises(InputError, match="regression predicts numbers, but column 'kind' holds texts"):
        load(f"csv:{file}:kind", task="regression")


def test_texts_in_the_place_of_numbers_are_told(tmp_path, caplog):
    path, count = tmp_path / "th.csv", 40
    columns = {
        "amount": [f"{i:,}" for i in range(1100, 1100 + count)],
        "few": ["1,100", "950", "12,000.5", ""] * 10,
        "weight": [f"{i}.5" for i in range(count)],
        "age": [str(i % 9) for i in range(count)],
        "colour": ["red", "blue"] * 20,
        "fine": range(count),
        "y": [f"{i}.25" for i in range(count)],
    }
    for name, stray in {"weight": "unknown", "age": "?", "y": "n/k"}.items():
        columns[name][16] = stray
    pd.DataFrame(columns).to_csv(path, index=False)
    table = load(f"csv:{path}:y")
    stray = "39 of 40 cells are numbers, but row 17 has {!r}; repair it, or leave it empty"
    assert table.notes == [
        "left out: amount (numbers with commas, such as '1,100'; write them without, as 1100)",
        f"left out: weight ({stray.format('unknown')})",
        "read as categories: few (numbers with commas, such as '1,100'; write them without, as 1100)",
        f"read as categories: age ({stray.format('?')})",
        f"read as classes: y ({stray.format('n/k')})",
    ]
    assert caplog.messages == [f"{path}: {note}" for note in table.notes]
    assert table.left_out == ["amount", "weight"] and list(table.categories) == ["few", "age", "colour"]


def test_a_table_that_is_read_whole_has_no_notes(tmp_path, caplog):
    path = tmp_path / "a.csv"
    path.write_text("a,b,flag,y\n" + "1,red,True,0.5\n,,,1.5\n" * 9)
    assert load(f"csv:{path}:y").notes == [] == caplog.messages


def test_an_index_of_pandas_is_no_column_to_predict_from(tmp_path, caplog):
    pd.DataFrame({"a": [5.0, 1.0, 3.0], "y": [0, 1, 0]}).to_csv(tmp_path / "a.csv")
    table, series = load(f"csv:{tmp_path / 'a.csv'}:y"), load(f"series:{tmp_path / 'a.csv'}:a:1")
    assert (table.numbers, series.numbers) == (["a"], ["a", "y"])
    assert caplog.text.count("left out: the first column (it has no name and counts the rows)") == 2
    (tmp_path / "b.csv").write_text(",y\n3,0\n1,1\n")
    assert load(f"csv:{tmp_path / 'b.csv'}:y").numbers == ["Unnamed: 0"]


def test_missing_values_are_the_mean_and_category_0(tmp_path):
    path = tmp_path / "holes.csv"
    path.write_text("a,b,y\n1,x,0.5\n,y,1.5\n3,,2.5\n5,x,3.5\n")
    table = load(f"csv:{path}:y")
    numbers, codes = table.images
    assert numbers[:, 0].tolist() == pytest.approx([-1.2247449, 0, 0, 1.2247449])
    assert codes[:, 0].tolist() == [1, 2, 0, 1]


def test_parquet_holds_the_same(file, tmp_path):
    pytest.importorskip("pyarrow")
    FRAME.to_parquet(tmp_path / "houses.parquet")
    one, other = load(f"csv:{file}:price"), load(f"parquet:{tmp_path / 'houses.parquet'}:price")
    assert torch.equal(one.images[0], other.images[0]) and torch.equal(one.images[1], other.images[1])


def test_missing_truth_values_are_the_mean(tmp_path):
    pytest.importorskip("pyarrow")
    truths = pd.array([True, None, False, None], dtype="boolean")
    pd.DataFrame({"a": truths, "y": [0, 1, 0, 1]}).to_parquet(tmp_path / "truths.parquet")
    table = load(f"parquet:{tmp_path / 'truths.parquet'}:y")
    assert table.images[:, 0].tolist() == [1, 0, -1, 0]


@pytest.mark.parametrize("column", ["a", "y"])
def test_a_column_of_lists_is_refused(column, tmp_path):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"a": [1, 2], "y": [0, 1]} | {column: [[1, 2], [3, 4]]}).to_parquet(tmp_path / "lists.parquet")
    with pytest.raises(InputError, match=f"column '{column}' holds several values in a row"):
        load(f"parquet:{tmp_path / 'lists.parquet'}:y")


@pytest.mark.parametrize("size", [1e-170, 1e-310, 1e200])
def test_very_small_and_large_columns_are_standardised(tmp_path, size):
    values = size * np.arange(8.0)
    pd.DataFrame({"x": values, "y": values}).to_csv(tmp_path / "far.csv", index=False)
    table, windows = load(f"csv:{tmp_path / 'far.csv'}:y"), load(f"series:{tmp_path / 'far.csv'}:y:1")
    wanted = torch.arange(-3.5, 4) / np.sqrt(5.25)
    for found in (table.images[:, 0], table.targets, torch.cat([windows.images[:, 0, 0], windows.targets[-1]])):
        assert found.tolist() == pytest.approx(wanted.tolist(), rel=1e-6)
    assert table.target_scale == pytest.approx((3.5 * size, np.sqrt(5.25) * size))


def test_a_constant_column_is_0_whatever_its_value(tmp_path):
    path = tmp_path / "constant.csv"
    path.write_text("a,b,y\n" + "\n".join(f"{'' if i == 0 else 1234567.1},{i},{i % 2}" for i in range(12)))
    table = load(f"csv:{path}:y")
    assert table.images[:, 0].tolist() == [0] * 12


TITLES = "title,y\n" + "".join(f"a film of part {part},{part % 2}\n" for part in range(40))


@pytest.mark.parametrize(
    ("text", "spec", "reason"),
    [
        ("a,y\n1,2\n", "csv:{}", "the column to predict is missing; write csv:FILE:TARGET"),
        ("a,y\n1,2\n", "csv:{}:z", "unknown column of .* 'z'.*Known: a, y"),
        ("a,y\n1,2\n1,\n", "csv:{}:y", "column 'y' of .* lacks 1 of 2 values, the first in row 2"),
        ("a,y\ninf,2\n", "csv:{}:y", "column 'a' of .* holds infinite values"),
        ("", "csv:{}:y", "cannot be read as a table: EmptyDataError"),
        ("a,y\n", "csv:{}:y", "has no rows"),
        ("a,y\n1,0,9\n2,1,5\n", "csv:{}:y", "a row has more values than the header has names"),
        ("a;b;y\n1,5;x;2,5\n2,5;y;3,5\n", "csv:{}:y", "columns are separated by ';'; save it with commas, and with"),
        ("a;b;y\n1.5;x;2.5\n2.5;y;3.5\n", "csv:{}:y", r"read_csv\('table.csv', sep=';', decimal=','\).to_csv"),
        ("a\ty\n1\t2\n", "csv:{}:y", r"separated by '\\t'; save it with commas"),
        ("y\n1\n", "csv:{}:y", "no column to predict from"),
        (TITLES, "csv:{}:y", "the target; title: texts that mostly differ. To classify texts, write their token ids"),
    ],
)
def test_what_is_no_table_is_refused(text, spec, reason, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        load(spec.format(path))
