"""How NAS-Bench-Suite-Zero writes the cells of TransNAS-Bench-101."""

from __future__ import annotations

import re

from zerocost.spaces.transnas import CHANNELS, SKELETON


def cell_text(text: str) -> str:
    """The benchmark's own text of a cell written as a tuple of operations; any other text as it is.

    The tuple's order is that of the text: edges 1←0, then 2←0 and 2←1, then 3←0, 3←1 and 3←2.

    >>> cell_text("(1, 3, 2, 1, 3, 1)")
    '64-41414-1_32_131'
    """
    if not re.fullmatch(r"\(\d(, ?\d){5}\)", text):
        return text
    a, b, c, d, e, f = re.findall(r"\d", text)
    return f"{CHANNELS}-{SKELETON}-{a}_{b}{c}_{d}{e}{f}"
