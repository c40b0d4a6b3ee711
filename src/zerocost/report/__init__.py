"""One self-contained HTML page for a search result."""

from __future__ import annotations

from zerocost.report.page import write

__all__ = ["write"]
