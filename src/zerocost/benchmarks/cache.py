"""Scores already had, in one SQLite file, each under everything it depends on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from zerocost.errors import InputError

KEY = ("made", "architecture", "seed", "proxy")


class Score(NamedTuple):
    """A value, or the reason why there is none."""

    value: float | None
    reason: str | None


class Cache:
    """A file of scores; `None` in place of a path keeps them in memory.

    `made` stands for what all scores of a run share: space, data, settings, versions. Use it in a `with` block; what
    was added is on disk at once, so a run that broke goes on where it stopped.

    >>> with Cache(None) as cache:
    ...     cache.add("settings", "arch-1", 0, {"snip": Score(1.5, None), "grasp": Score(None, "overflow")})
    ...     cache.known("settings")["arch-1", 0, "snip"]
    Score(value=1.5, reason=None)
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = path
        try:
            self.connection = sqlite3.connect(":memory:" if path is None else path, timeout=60)
            self.connection.execute(
                "CREATE TABLE IF NOT EXISTS scores (made TEXT, architecture TEXT, seed INTEGER, proxy TEXT, "
                f"value REAL, reason TEXT, PRIMARY KEY ({', '.join(KEY)}))"
            )
        except sqlite3.Error as error:
            raise InputError(f"cannot keep scores in {path}: {error}; give the path of a file to make") from None

    def known(self, made: str) -> dict[tuple[str, int, str], Score]:
        """Everything there is for these settings, by architecture, seed and proxy."""
        rows = self.connection.execute(
            "SELECT architecture, seed, proxy, value, reason FROM scores WHERE made = ?", (made,)
        )
        return {(arch, seed, proxy): Score(value, reason) for arch, seed, proxy, value, reason in rows}

    def add(self, made: str, architecture: str, seed: int, scores: dict[str, Score]) -> None:
        """Keep one network's scores."""
        rows: Iterable[tuple[object, ...]] = [(made, architecture, seed, name, *s) for name, s in scores.items()]
        with self.connection:
            self.connection.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)", rows)

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
