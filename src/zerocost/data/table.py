"""Tables: CSV and Parquet files with a column to predict."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from zerocost.base.errors import InputError, describe_error, unknown
from zerocost.base.result import check_parquet
from zerocost.data.alike import find_places
from zerocost.data.column_notes import log_notes, text_note
from zerocost.data.paths import parse_path, split_column
from zerocost.data.targets import MOST_CLASSES
from zerocost.data.tensors import TensorData, power_of_two

_OTHER_SEPARATORS = (";", "\t", "|")

_MOST_DISTINCT = 0.5
"""A column of texts in which a greater share of the rows differ holds names, which are left out."""


class Table(TensorData):
    """Rows of a table. A sample's input is its numbers, F float32, its categories, G int64, or both as a tuple.

    Numbers are standardised by some of the rows; one that is missing becomes 0, their mean. A category is its place
    among the sorted ones of its column, from 1 on, and 0 where it is missing. The target is the number of a class, or a
    number, standardised too.

    Args:
        columns: the columns to predict from.
        target: the column to predict, without a missing value.
        task: "classification" or "regression"; None for what the column is: texts, truth values and whole numbers of at
            most 20 different values are classes.
        rows: the rows that numbers are standardised by; all if None.

    Attributes:
        numbers: the names of the columns of numbers.
        categories: the number of categories of each column of texts, 0 for a missing one included.
        category_texts: what these numbers stand for, from 1 on.
        left_out: columns of texts that mostly differ, such as names, which are not used.
        notes: a line for each of these, and for each other column of texts that are numbers but for a few.
        classes: what the target's class numbers stand for; empty for a number.
        mean, std: of each column of numbers; None where there is none.
        target_scale: mean and standard deviation of a target that is a number; errors are in units of the latter.

    >>> columns = pd.DataFrame({"size": [1.0, 3.0], "colour": ["red", "blue"]}, index=[0, 1])
    >>> table = Table(pd.concat([columns] * 2), pd.Series(["no", "yes"] * 2))
    >>> table[0], table.classes, table.categories
    (((tensor([-1.]), tensor([2])), 0), ['no', 'yes'], {'colour': 3})
    """

    def __init__(
        self, columns: pd.DataFrame, target: pd.Series[Any], task: str | None = None, rows: Tensor | None = None
    ) -> None:
        self.columns, self.target = columns, target
        every = torch.arange(len(columns)) if rows is None else rows
        for column in (target, *(columns[name] for name in columns)):
            _check_single(column)
        texts = [str(name) for name in columns if not pd.api.types.is_numeric_dtype(columns[name])]
        self.left_out = [name for name in texts if _are_names(columns[name])]
        self.numbers = [str(name) for name in columns if str(name) not in texts]
        self.categories = {name: 1 + columns[name].nunique() for name in texts if name not in self.left_out}
        self.category_texts = {name: _texts_of(columns[name]) for name in self.categories}
        if self.numbers:
            self.mean, self.std = _scale(_numbers(columns[self.numbers])[every])
        task = task if task in ("classification", "regression") else _task_of(target)
        if task == "classification":
            self.classes = _texts_of(target)
        else:
            mean, std = _scale(_target_numbers(target)[every])
            self.target_scale = (float(mean), float(std))
        super().__init__(self._inputs(columns), None, task)
        self.targets = self._targets(target)
        self.codes = tuple(self.categories.values())

    @property
    def notes(self) -> list[str]:
        found = [text_note(self.columns[name], "left out", "texts that mostly differ") for name in self.left_out]
        found += [text_note(self.columns[name], "read as categories") for name in self.categories]
        if not pd.api.types.is_numeric_dtype(self.target):
            found.append(text_note(self.target, "read as classes"))
        return [note for note in found if note is not None]

    def _inputs(self, columns: pd.DataFrame) -> Any:
        """The numbers, the categories, or both."""
        parts = []
        if self.mean is not None and self.std is not None:
            scaled = (_numbers(columns[self.numbers]) - self.mean) / self.std
            parts.append(scaled.nan_to_num().float())
        if self.categories:
            codes = [_places(columns[name], texts) + 1 for name, texts in self.category_texts.items()]
            parts.append(torch.stack(codes, dim=1))
        if not parts:
            why = "the table has no column to predict from but the target"
            if self.left_out:
                why += f"; {', '.join(self.left_out)}: texts that mostly differ. To classify texts, write their token "
                why += "ids to npz:FILE, as x N×LENGTH and y"
            raise InputError(why)
        return parts[0] if len(parts) == 1 else tuple(parts)

    def _targets(self, target: pd.Series[Any]) -> Tensor:
        """Class numbers, or standardised numbers."""
        if self.target_scale is None:
            return _places(target, self.classes)
        mean, std = self.target_scale
        return ((_target_numbers(target) - mean) / std).float()

    def for_task(self, task: str) -> Table:
        """The table with its target read as a class, or as a number."""
        return self if task == self.task else Table(self.columns, self.target, task)

    def parts(self, train: Tensor, validation: Tensor) -> tuple[TensorData, TensorData]:
        """Two parts of the rows, standardised by the first."""
        fitted = Table(self.columns, self.target, self.task, train)
        return fitted.rows(train), fitted.rows(validation)

    def beside(self, other: Table) -> tuple[TensorData, TensorData]:
        """This table and another of the same columns, read as this one: a category that it lacks is a missing one."""
        find_places(list(map(str, self.columns)), list(map(str, other.columns)), "column")
        columns = other.columns[list(self.columns)]
        for name in self.numbers:
            if not pd.api.types.is_numeric_dtype(columns[name]):
                raise InputError(f"column {name!r} is numbers in the training data, but texts in the validation data")
        if self.target_scale is None:
            find_places(_texts_of(other.target), self.classes, "class", ours=False)
        held_out = self.rows(torch.arange(0))
        held_out.images, held_out.targets = self._inputs(columns), self._targets(other.target)
        return self.rows(torch.arange(len(self))), held_out


def load_csv(argument: str) -> Table:
    """The rows of a CSV file with a header.

    Args:
        argument: path and column to predict, such as `houses.csv:price`.

    Raises:
        InputError: no such file or column, or a file that is no such table.
    """
    return _load_table(argument, "csv:FILE:TARGET", read_csv)


def load_parquet(argument: str) -> Table:
    """The rows of a Parquet file.

    Args:
        argument: path and column to predict, such as `houses.parquet:price`.

    Raises:
        InputError: no such file or column, or a file that is no such table.
        MissingExtraError: pyarrow is not installed.
    """
    check_parquet()
    return _load_table(argument, "parquet:FILE:TARGET", pd.read_parquet)


def _load_table(argument: str, usage: str, read: Callable[[Path], pd.DataFrame]) -> Table:
    """The table of a file and the name of its target."""
    path, name = split_column(argument)
    if not name:
        raise InputError(f"the column to predict is missing; write {usage}")
    frame = read_frame(parse_path(path, usage), read)
    target = column_of(frame, name, path)
    missing = target.isna()
    if missing.any():
        raise InputError(
            f"column {name!r} of {path} lacks {int(missing.sum())} of {len(frame)} values, the first in row "
            f"{int(missing.argmax()) + 1}; remove rows without a target"
        )
    table = Table(frame.drop(columns=name), target)
    log_notes(path, table.notes)
    return table


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV file with a header; `ValueError` for another separator, and for rows longer than the header.

    A first column without a name that counts the rows, such as pandas writes, is left out.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame = pd.read_csv(path, index_col=False)  # by default pandas shifts the columns of longer rows
        except (pd.errors.ParserWarning, pd.errors.ParserError) as error:
            _check_separator(pd.read_csv(path, nrows=0), path)
            if isinstance(error, pd.errors.ParserError):
                raise
            raise ValueError("a row has more values than the header has names; give each column a name") from error
    _check_separator(frame, path)
    if len(frame) > 1 and str(frame.columns[0]).startswith("Unnamed: ") and _counts_rows(frame.iloc[:, 0]):
        log_notes(str(path), ["left out: the first column (it has no name and counts the rows)"])
        return frame.iloc[:, 1:]
    return frame


def _counts_rows(column: pd.Series[Any]) -> bool:
    """Whether a column holds 0, 1, 2, … or 1, 2, 3, …"""
    return any(np.array_equal(column, np.arange(first, first + len(column))) for first in (0, 1))


def _check_separator(frame: pd.DataFrame, path: Path) -> None:
    """`ValueError` where the names of all columns are in one, with another separator than a comma."""
    names = list(map(str, frame))
    other = next((one for one in _OTHER_SEPARATORS if len(names) == 1 and one in names[0]), None)
    if other is not None:
        raise ValueError(
            f"its columns are separated by {other!r}; save it with commas, and with points in decimal numbers: "
            f"pandas.read_csv({path.name!r}, sep={other!r}, decimal=',').to_csv(…, index=False)"
        )


def read_frame(path: Path, read: Callable[[Path], pd.DataFrame] = read_csv) -> pd.DataFrame:
    """The table of a file; `InputError` where it cannot be read or has no rows."""
    try:
        frame = read(path)
    except Exception as error:
        raise InputError(f"{path} cannot be read as a table: {describe_error(error)}") from error
    if frame.empty:
        raise InputError(f"{path} has no rows")
    infinite = [str(name) for name, column in frame.select_dtypes("number").items() if np.isinf(column).any()]
    if infinite:
        raise InputError(f"column {infinite[0]!r} of {path} holds infinite values; repair or remove them")
    return frame


def column_of(frame: pd.DataFrame, name: str, path: str) -> pd.Series[Any]:
    """The column of a name; `InputError` where there is none."""
    if name not in frame:
        raise unknown(f"column of {path}", name, map(str, frame))
    return frame[name]


def _check_single(column: pd.Series[Any]) -> None:
    """`InputError` where a row holds several values."""
    if column.dtype == object and not column.map(pd.api.types.is_hashable).all():
        raise InputError(
            f"column {column.name!r} holds several values in a row, such as a list; give each its own column"
        )


def _are_names(column: pd.Series[Any]) -> bool:
    """Whether most of the texts of a column differ."""
    return column.nunique() > max(2, _MOST_DISTINCT * len(column))


def _task_of(target: pd.Series[Any]) -> str:
    """What a column to predict is certain to be, or is likely to be where it holds whole numbers."""
    if pd.api.types.is_bool_dtype(target) or not pd.api.types.is_numeric_dtype(target):
        return "classification"
    few = pd.api.types.is_integer_dtype(target) and target.nunique() <= MOST_CLASSES
    return "classification" if few else "regression"


def _as_categories(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers and truth values as they are, all else as texts."""
    return column if pd.api.types.is_numeric_dtype(column) else column.astype("string")


def _texts_of(column: pd.Series[Any]) -> list[Any]:
    """The sorted values of a column of categories or classes."""
    return pd.Categorical(_as_categories(column)).categories.tolist()


def _places(column: pd.Series[Any], texts: Sequence[Any]) -> Tensor:
    """The place of each value among texts, −1 where it is missing or none of them."""
    return torch.from_numpy(pd.Index(texts).get_indexer(pd.Index(_as_categories(column))).astype(np.int64))


def _numbers(columns: pd.DataFrame) -> Tensor:
    """Columns of numbers, N×F, NaN where one is missing."""
    return torch.from_numpy(columns.to_numpy(np.float64, copy=True, na_value=np.nan))


def _target_numbers(target: pd.Series[Any]) -> Tensor:
    """A column as numbers N; `InputError` for texts."""
    try:
        return torch.from_numpy(np.array(target, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"regression predicts numbers, but column {target.name!r} holds texts: {error}") from error


def _scale(known: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of columns, or of one, without what is missing; a constant one has deviation 1."""
    middle = known.nanmedian(0).values.nan_to_num()  # of which a constant column differs by exactly 0
    mean = middle + (known - middle).nanmean(0).nan_to_num()
    away = known - mean
    size = power_of_two(away)  # so that squares neither vanish nor overflow
    deviation = size * (away / size).square().nanmean(0).sqrt().nan_to_num()
    return mean, torch.where(deviation > 0, deviation, 1.0)
