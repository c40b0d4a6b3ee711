"""Time series: windows of a table's rows, in the order of the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zerocost.base.errors import InputError
from zerocost.base.result import check_parquet
from zerocost.data.alike import find_places
from zerocost.data.column_notes import log_notes, text_note
from zerocost.data.paths import parse_path, parse_positive_int, split_column
from zerocost.data.table import column_of, read_csv, read_frame
from zerocost.data.tensors import TensorData, power_of_two

_USAGE = "series:FILE:TARGET:LENGTH:AHEAD, such as series:load.csv:demand:24:6"


class _Windows(TensorData):
    """Windows of `length` rows, length×F, each with the `ahead` values of the target column that follow.

    Columns are standardised by the rows `fitted`. Windows overlap, so a split holds out the last ones, and leaves
    out those between that share rows with both parts.

    Args:
        values: all rows, T×F.
        names: of the F columns.
        target: the place of the column to predict.
        length: rows of a window.
        ahead: values to predict.
        fitted: the rows that columns are standardised by; all if None.

    Raises:
        InputError: fewer rows than a window and what follows it.

    >>> windows = _Windows(torch.arange(6.0)[:, None], ["load"], 0, length=3, ahead=1)
    >>> len(windows), windows[0][0].shape, windows[0][1].shape
    (3, torch.Size([3, 1]), torch.Size([1]))
    """

    gap: int
    notes: Sequence[str] = ()
    """A line for each column that is left out."""

    def __init__(
        self, values: Tensor, names: list[str], target: int, length: int, ahead: int, fitted: Tensor | None = None
    ) -> None:
        self.values, self.target, self.length, self.ahead = values, target, length, ahead
        if len(values) < length + ahead:
            raise InputError(f"{len(values)} rows are too few for windows of {length} and {ahead} more; write {_USAGE}")
        known = values if fitted is None else fitted
        size = power_of_two(known)  # so that squares neither vanish nor overflow
        deviation, mean = (size * one for one in torch.std_mean(known / size, dim=0, correction=0))
        deviation = torch.where(deviation > 0, deviation, 1.0)
        scaled = (values - mean) / deviation
        inputs = scaled[: len(scaled) - ahead].unfold(0, length, 1).transpose(1, 2)
        targets = scaled[length:, target].unfold(0, ahead, 1)
        super().__init__(inputs.float(), targets.float(), "regression")
        self.numbers, self.mean, self.std = names, mean, deviation
        self.target_scale = (float(mean[target]), float(deviation[target]))
        self.gap = length + ahead - 1

    def parts(self, train: Tensor, validation: Tensor) -> tuple[TensorData, TensorData]:
        """Two parts of the windows, standardised by the rows of the first."""
        known = self.values[: int(train.max()) + self.gap + 1]
        fitted = _Windows(self.values, list(self.numbers), self.target, self.length, self.ahead, known)
        return fitted.rows(train), fitted.rows(validation)

    def beside(self, other: _Windows) -> tuple[TensorData, TensorData]:
        """These windows and those of another file, standardised by these."""
        names = list(self.numbers)
        values = other.values[:, find_places(names, other.numbers, "column")]
        find_places([names[self.target]], [other.numbers[other.target]], "column to predict")
        return self, _Windows(values, names, self.target, other.length, other.ahead, self.values)


def load_series(argument: str) -> _Windows:
    """Windows of the columns of numbers of a CSV or .parquet file; other columns, such as dates, are left out.

    Args:
        argument: path, column to predict, rows of a window and, if more than one, values to predict.

    Raises:
        InputError: no such file or column, too few rows, or missing values.
        MissingExtraError: a .parquet file without pyarrow.
    """
    fields, numbers = argument.split(":"), list[int]()
    while len(fields) > 2 and len(numbers) < 2 and fields[-1].isdecimal():
        numbers.insert(0, parse_positive_int(fields.pop(), _USAGE))
    if len(fields) < 2 or not numbers:
        raise InputError(f"expected a file, a column and the rows of a window, got {argument!r}; write {_USAGE}")
    path, name = split_column(":".join(fields))
    parquet = path.endswith(".parquet")
    if parquet:
        check_parquet()
    frame = read_frame(parse_path(path, _USAGE), pd.read_parquet if parquet else read_csv)
    target: pd.Series[Any] = column_of(frame, name, path)
    if not pd.api.types.is_numeric_dtype(target):
        raise InputError(f"column {name!r} of {path} holds texts; a series needs numbers")
    columns = frame[[column for column in frame if pd.api.types.is_numeric_dtype(frame[column])]]
    missing = columns.isna().any()
    if missing.any():
        raise InputError(f"column {missing.idxmax()!r} of {path} lacks values; fill them in, or remove the column")
    values = torch.from_numpy(np.array(columns, dtype=np.float64))
    names = list(map(str, columns))
    windows = _Windows(values, names, names.index(name), numbers[0], numbers[1] if len(numbers) > 1 else 1)
    texts = [frame[other] for other in frame if str(other) not in names and frame[other].notna().any()]
    windows.notes = [note for column in texts if (note := text_note(column, "left out", "no numbers"))]
    log_notes(path, windows.notes)
    return windows
