"""Scores that last, in SQLite or PostgreSQL, each under everything it depends on."""

from __future__ import annotations

from zerocost.store.store import Score, Store

__all__ = ["Score", "Store"]
