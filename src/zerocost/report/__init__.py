"""One self-contained HTML page for a search result or an evaluation; figures for a paper are in `pictures`."""

from __future__ import annotations

from zerocost.report.page import write

__all__ = ["write"]
