"""Formulas as MathML, written at build time: every current browser shows it, without script, font or network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

FENCE = re.compile(r">([|/])</mo>")
FUNCTION = re.compile(r"(<mo>&ApplyFunction;</mo>)(?=\s*<m(?:i|sub|under|underover)>)")


def formula(latex: str, as_block: bool) -> str:
    """MathML with bars close to what they enclose, and a space between a function and a letter."""
    text = FENCE.sub(r' lspace="0" rspace="0">\1</mo>', tex2mathml(latex, as_block=as_block))
    return FUNCTION.sub(r'\1<mspace width="0.1667em"></mspace>', text)


def inline(writer: Any, node: nodes.math) -> None:
    """A formula in a line of text."""
    writer.body.append(formula(node.astext(), as_block=False))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    """A formula on a line of its own."""
    writer.body.append(f'<div class="math">{formula(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
