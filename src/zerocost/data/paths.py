"""Parsing what follows the first colon of a spec: a path, a size in pixels."""

from __future__ import annotations

from pathlib import Path

from zerocost.base.errors import InputError

_DIGITS = 12
"""Digits that a size may have."""


def parse_path(text: str, usage: str) -> Path:
    """The existing path that a text names; `InputError` if it is empty or does not exist."""
    if not text:
        raise InputError(f"the path is missing; write {usage}")
    path = Path(text).expanduser()
    if not path.exists():
        raise InputError(f"no such file or folder: {path} (from {usage})")
    return path


def split_column(text: str) -> tuple[str, str]:
    """The path and the column of FILE:COLUMN, either of which may hold colons: where there is no such file, the last
    colon parts them.

    >>> split_column("houses.csv:price")
    ('houses.csv', 'price')
    """
    colons = [place for place, letter in enumerate(text) if letter == ":"]
    last = colons[-1] if colons else len(text)
    cut = next((place for place in colons if Path(text[:place]).expanduser().is_file()), last)
    return text[:cut], text[cut + 1 :]


def parse_positive_int(text: str, usage: str) -> int:
    """The whole number ≥ 1 that a text spells; `InputError` for any other text, or one of too many digits.

    >>> parse_positive_int("32", "digits:SIZE")
    32
    """
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) > 0):
        expected = f"a whole number of at least 1 and at most {_DIGITS} digits"
        raise InputError(f"expected {expected}, got {text!r:.60}; write {usage}")
    return int(text)
