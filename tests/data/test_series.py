"""Windows of a time series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.data import load, split


@pytest.fixture
def file(tmp_path):
    rows = np.arange(60.0)
    frame = pd.DataFrame({"day": [f"2020-{i}" for i in range(60)], "load": rows**2, "heat": np.sin(rows)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    return tmp_path / "a.csv"


def test_windows_are_followed_by_what_they_predict(file):
    windows = load(f"series:{file}:load:8:3")
    assert len(windows) == 60 - 8 - 3 + 1 and windows.task == "regression"
    values = np.arange(60.0) ** 2
    scaled = torch.tensor((values - values.mean()) / values.std(), dtype=torch.float32)
    for place in (0, 7, len(windows) - 1):
        inputs, target = windows[place]
        assert inputs.shape == (8, 2)
        assert torch.allclose(inputs[:, 0], scaled[place : place + 8], atol=1e-6)
        assert torch.allclose(target, scaled[place + 8 : place + 11], atol=1e-6)
    assert load(f"series:{file}:load:8")[0][1].shape == (1,)


def test_a_column_of_yes_and_no_is_numbers_as_in_a_table(tmp_path):
    pd.DataFrame({"load": np.arange(20.0), "open": [True, False] * 10}).to_csv(tmp_path / "a.csv", index=False)
    windows = load(f"series:{tmp_path / 'a.csv'}:open:4")
    inputs, target = windows[0]
    assert inputs[:, 1].tolist() == [1, -1, 1, -1] and target.tolist() == [1]
    assert windows.notes == []


def test_the_name_of_the_column_may_hold_colons(tmp_path):
    pd.DataFrame({"load: kW": np.arange(20.0), "3:4": np.arange(20.0) ** 2}).to_csv(tmp_path / "a.csv", index=False)
    for name in ("load: kW", "3:4"):
        assert len(load(f"series:{tmp_path / 'a.csv'}:{name}:4:2")) == 15
        assert load(f"csv:{tmp_path / 'a.csv'}:{name}").task == "regression"


def test_the_end_is_held_out_and_no_row_is_in_both_parts(file):
    windows = load(f"series:{file}:load:8:3")
    train, held_out = split(windows, 0.2)
    assert len(held_out) == 10 and len(train) == 50 - 10 - (8 + 3 - 1)
    known = torch.arange(60.0, dtype=torch.float64)[: len(train) + 10] ** 2
    assert float(held_out[-1][1][-1]) == pytest.approx(
        float((59**2 - known.mean()) / known.std(correction=0)), rel=1e-5
    )
    first_held_out = float(held_out[0][0][0, 0]) * float(known.std(correction=0)) + float(known.mean())
    assert first_held_out == pytest.approx(40**2, rel=1e-4)  # rows up to 39 are in the training part


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("series:{}:load", "expected a file, a column and the rows of a window"),
        ("series:{}:day:4", "column 'day' of .* holds texts"),
        ("series:{}:load:58:3", "60 rows are too few for windows of 58 and 3 more"),
        ("series:{}:lod:4", "did you mean 'load'"),
    ],
)
def test_what_makes_no_windows_is_refused(spec, reason, file):
    with pytest.raises(InputError, match=reason):
        load(spec.format(file))


def test_columns_that_are_left_out_are_told(tmp_path, caplog):
    path = tmp_path / "a.csv"
    rows = "".join(f"2020-01-{i + 1:02},{i},{'x' if i == 4 else i},7\n" for i in range(20))
    path.write_text("day,load,heat,wind\n" + rows)
    windows = load(f"series:{path}:load:4")
    assert windows.numbers == ["load", "wind"]
    assert caplog.messages == [f"{path}: {note}" for note in windows.notes]
    assert windows.notes == [
        "left out: day (no numbers, such as '2020-01-01')",
        "left out: heat (19 of 20 cells are numbers, but row 5 has 'x'; repair it, or leave it empty)",
    ]
