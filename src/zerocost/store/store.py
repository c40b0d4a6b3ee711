"""Scores already had, and who is computing which: two tables that many processes and machines can share."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from zerocost.base.errors import ZerocostError
from zerocost.store import owners

if TYPE_CHECKING:
    from zerocost.store.database import Run

TABLES = {
    "scores": (
        *("made TEXT", "architecture TEXT", "seed BIGINT", "proxy TEXT", "value DOUBLE PRECISION", "reason TEXT"),
        "PRIMARY KEY (made, architecture, seed, proxy)",
    ),
    "claims": (
        *("made TEXT", "architecture TEXT", "seed BIGINT", "owner TEXT"),
        "PRIMARY KEY (made, architecture, seed)",
    ),
    "owners": ("owner TEXT PRIMARY KEY", "machine TEXT", "pid BIGINT", "born TEXT", "beat DOUBLE PRECISION"),
}
KNOWN = "SELECT architecture, seed, proxy, value, reason FROM scores WHERE made = :made"
ADD = (
    "INSERT INTO scores (made, architecture, seed, proxy, value, reason) "
    "VALUES (:made, :architecture, :seed, :proxy, :value, :reason) "
    "ON CONFLICT (made, architecture, seed, proxy) DO UPDATE SET value = excluded.value, reason = excluded.reason"
)
CLAIM = (
    "INSERT INTO claims (made, architecture, seed, owner) VALUES (:made, :architecture, :seed, :owner) "
    "ON CONFLICT (made, architecture, seed) DO NOTHING"
)
HELD = "SELECT architecture, seed FROM claims WHERE made = :made AND owner = :owner"
RELEASE = "DELETE FROM claims WHERE made = :made AND architecture = :architecture AND seed = :seed AND owner = :owner"
SIGN = (
    "INSERT INTO owners (owner, machine, pid, born, beat) VALUES (:owner, :machine, :pid, :born, {now}) "
    "ON CONFLICT (owner) DO UPDATE SET beat = excluded.beat"
)
OWNERS = "SELECT owner, machine, pid, born, {now} - beat FROM owners"
FORGET = ("DELETE FROM claims WHERE owner = :owner", "DELETE FROM owners WHERE owner = :owner")

BEAT = 30.0
"""Seconds between two signs of life of a store that has claimed something."""
AT_ONCE = 500
"""Architectures asked for in one query."""


class Score(NamedTuple):
    """A value, or the reason why there is none."""

    value: float | None
    reason: str | None


class Store:
    """Scores in a SQLite file (a path), a database (a URL) or memory (`None`).

    `made` stands for what all scores of a run share: space, data, settings, versions. Use it in a `with` block; what
    was added is there at once for every process that has the store open, and a run that broke goes on where it
    stopped. Processes that share a store `claim` what they are about to compute, so that nothing is computed twice.

    Args:
        where: path of a file to make or to go on with, `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`,
            or `None`.

    Raises:
        InputError: nothing can be kept there.
        MissingExtraError: the driver of PostgreSQL is not installed.

    >>> with Store(None) as store:
    ...     store.add("settings", {("arch-1", 0, "snip"): Score(1.5, None), ("arch-1", 0, "zen"): Score(None, "NaN")})
    ...     store.known("settings")["arch-1", 0, "snip"]
    Score(value=1.5, reason=None)
    """

    def __init__(self, where: str | Path | None) -> None:
        from zerocost.store.database import Database

        self.database = Database(where, TABLES)
        self.where = self.database.name
        self.owner = uuid.uuid4().hex
        self.closed = threading.Event()
        self.heart: threading.Thread | None = None

    def known(self, made: str, architectures: Sequence[str] | None = None) -> dict[tuple[str, int, str], Score]:
        """Everything there is for these settings, or for some architectures, by architecture, seed and proxy."""
        with self.database.transaction() as run:
            if architectures is None:
                rows = run(KNOWN, {"made": made})
            else:
                parts = [list(architectures[i : i + AT_ONCE]) for i in range(0, len(architectures), AT_ONCE)]
                few = f"{KNOWN} AND architecture IN :architectures"
                rows = [row for part in parts for row in run(few, {"made": made, "architectures": part})]
        return {(arch, seed, proxy): Score(value, reason) for arch, seed, proxy, value, reason in rows}

    def add(self, made: str, rows: Mapping[tuple[str, int, str], Score]) -> None:
        """Keep scores, all or none, and release the claims on their architectures and seeds.

        One that ran out of memory is not kept: another machine or batch may manage.
        """
        kept = [
            {"made": made, "architecture": arch, "seed": seed, "proxy": proxy, "value": value, "reason": reason}
            for (arch, seed, proxy), (value, reason) in rows.items()
            if "out of memory" not in (reason or "")
        ]
        with self.database.transaction(write=True) as run:
            run(ADD, kept)
            run(RELEASE, self._keys(made, {(arch, seed) for arch, seed, _ in rows}))

    def claim(self, made: str, keys: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Of these architectures and seeds, those that are now this store's to compute.

        The others are claimed by another process. Claims of a process that has ended, or has given no sign of life
        for `owners.SILENCE` seconds, are taken over. Scores may have been added since they were last read: read again
        after claiming. A store in memory, which no other process sees, is given all.
        """
        wanted = set(keys)
        if not wanted or not self.database.shared:
            return wanted
        with self.database.transaction(write=True) as run:
            self._sign(run)
            signs = [(owner, owners.Sign(*sign)) for owner, *sign in run(OWNERS)]
            self._forget(run, [owner for owner, sign in signs if owner != self.owner and owners.gone(sign)])
            run(CLAIM, self._keys(made, wanted))
            held = {(arch, seed) for arch, seed in run(HELD, {"made": made, "owner": self.owner})}
        if self.heart is None:
            self.heart = threading.Thread(target=self._beat, daemon=True)
            self.heart.start()
        return wanted & held

    def release(self, made: str, keys: Iterable[tuple[str, int]]) -> None:
        """Give up claims on what will not be computed after all."""
        if self.database.shared:
            with self.database.transaction(write=True) as run:
                run(RELEASE, self._keys(made, keys))

    def close(self) -> None:
        """Release all claims and close the connections."""
        self.closed.set()
        try:
            if self.heart is not None:
                self.heart.join()
                with self.database.transaction(write=True) as run:
                    self._forget(run, [self.owner])
        finally:
            self.database.close()

    def _keys(self, made: str, keys: Iterable[tuple[str, int]]) -> list[dict[str, object]]:
        return [{"made": made, "architecture": arch, "seed": seed, "owner": self.owner} for arch, seed in keys]

    def _sign(self, run: Run) -> None:
        """Give a sign of life."""
        run(SIGN, {"owner": self.owner, **owners.this()})

    def _forget(self, run: Run, gone: Iterable[str]) -> None:
        """Release what these owners claimed."""
        for statement in FORGET:
            run(statement, [{"owner": owner} for owner in gone])

    def _beat(self) -> None:
        """Give signs of life, in a thread of its own, until the store is closed."""
        while not self.closed.wait(BEAT):
            with contextlib.suppress(ZerocostError), self.database.transaction(write=True) as run:
                self._sign(run)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
