"""Cells of tables that hold a number, such as .76 (.73 to .78) or 12 %, get the class `number`; the style reads it."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

NUMBER = re.compile(r"[\s(+−±-]*[\d.,]*\d(?:[\s\de.,:()+−±×–%-]|(?:to|k|M|[kM]?B|m?s|min|h)\b)*")


def mark_numbers(_app: Sphinx, doctree: nodes.document) -> None:
    """Give the class to the cells of a page."""
    for cell in doctree.findall(nodes.entry):
        if NUMBER.fullmatch(cell.astext()):
            cell["classes"].append("number")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the step."""
    app.connect("doctree-read", mark_numbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
