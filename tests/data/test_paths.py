from __future__ import annotations

import pytest

from zerocost.base.errors import InputError
from zerocost.data.paths import parse_path, parse_positive_int, split_column


def test_the_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    assert parse_path("~/data", "npz:PATH") == tmp_path / "data"


def test_only_digits_above_zero_count():
    assert parse_positive_int("064", "x") == 64
    for text in ("", "0", "-1", "1e3", "٣", " 4"):
        with pytest.raises(InputError, match="at least 1"):
            parse_positive_int(text, "x")


def test_a_file_and_its_column_may_hold_colons(tmp_path):
    file = tmp_path / "a:b.csv"
    assert split_column(f"{file}:c:d") == (str(tmp_path / "a:b.csv:c"), "d")
    file.touch()
    assert split_column(f"{file}:c:d") == (str(file), "c:d")
    assert split_column(f"{file}:") == (str(file), "")
    assert split_column("alone") == ("alone", "")
