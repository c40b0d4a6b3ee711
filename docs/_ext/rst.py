"""Pieces of reStructuredText."""

from __future__ import annotations

from collections.abc import Iterable


def plain(text: str) -> str:
    """Text from the code, where a bar is a bar: |θ|."""
    return text.replace("|", r"\|")


def table(headings: Iterable[str], rows: Iterable[Iterable[str]], widths: str = "auto") -> str:
    """A table with headings; widths of the columns in per cent."""
    return "\n".join([".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", "", *cells([headings, *rows])])


def facts(rows: Iterable[Iterable[str]]) -> str:
    """A table whose first column names what the second says."""
    return "\n".join([".. list-table::", "   :stub-columns: 1", "", *cells(rows)])


def cells(rows: Iterable[Iterable[str]]) -> list[str]:
    """The rows of a list-table."""
    return [f"   {'  -' if i else '* -'} {cell}".rstrip() for row in rows for i, cell in enumerate(row)]
