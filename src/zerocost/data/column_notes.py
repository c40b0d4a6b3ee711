"""What is said of the columns of a table that hold texts where numbers may have been meant."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import pandas as pd

_log = logging.getLogger(__name__)

_NEARLY_ALL = 0.9
"""Where a greater share of the cells are numbers, those that are not look like mistakes."""
_LONGEST = 40
_COMMAS = r"\s*[+-]?\d{1,3}(,\d{3})+(\.\d*)?\s*"
"""A number whose digits are in groups of three, as spreadsheets write them."""


def text_note(column: pd.Series[Any], use: str, kind: str | None = None) -> str | None:
    """How a column of texts is used, and an example of them, or what keeps it from being one of numbers: commas in
    them, or the text that is none where nearly all are.

    Args:
        column: the column, its rows counted from 1.
        use: how it is used.
        kind: what its texts are in general; None says nothing where neither holds.

    >>> text_note(pd.Series(["1,100", "950"], name="amount"), "read as categories")
    "read as categories: amount (numbers with commas, such as '1,100'; write them without, as 1100)"
    >>> text_note(pd.Series([*"0123456789?"], name="age"), "read as categories")
    "read as categories: age (10 of 11 cells are numbers, but row 11 has '?'; repair it, or leave it empty)"
    """
    cells = column.astype("string")
    known = cells.notna().to_numpy()
    stray = known & pd.to_numeric(cells, errors="coerce").isna().to_numpy()
    reason = None if kind is None else f"{kind}, such as {_quote(cells[known].iloc[0])}"
    with_commas = cells.str.fullmatch(_COMMAS).fillna(False).to_numpy(bool)
    if stray.any() and with_commas[stray].all():
        text = cells[stray].iloc[0]
        reason = f"numbers with commas, such as {_quote(text)}; write them without, as {text.replace(',', '')}"
    elif 0 < stray.sum() < (1 - _NEARLY_ALL) * known.sum():
        row, numbers = int(stray.argmax()), int(known.sum() - stray.sum())
        reason = (
            f"{numbers:,} of {known.sum():,} cells are numbers, but row {row + 1} has {_quote(cells.iloc[row])}; "
            "repair it, or leave it empty"
        )
    return None if reason is None else f"{use}: {column.name} ({reason})"


def log_notes(path: str, notes: Iterable[str]) -> None:
    """Log a warning for each note on what was read of a file; Python prints it to stderr where nothing is set up."""
    for note in notes:
        _log.warning("%s: %s", path, note)


def _quote(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
