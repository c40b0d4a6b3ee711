"""The score store: scores, and claims on those being computed, which many processes and machines can share."""

from __future__ import annotations

import contextlib
import math
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from zerocost.base.errors import ZerocostError
from zerocost.store import owners

if TYPE_CHECKING:
    from zerocost.store.database import Execute

_TABLES = {
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
_KNOWN = "SELECT architecture, seed, proxy, value, reason FROM scores WHERE made = :made"
_ADD = (
    "INSERT INTO scores (made, architecture, seed, proxy, value, reason) "
    "VALUES (:made, :architecture, :seed, :proxy, :value, :reason) "
    "ON CONFLICT (made, architecture, seed, proxy) DO UPDATE SET value = excluded.value, reason = excluded.reason"
)
_CLAIM = (
    "INSERT INTO claims (made, architecture, seed, owner) VALUES (:made, :architecture, :seed, :owner) "
    "ON CONFLICT (made, architecture, seed) DO NOTHING"
)
_HELD = "SELECT architecture, seed FROM claims WHERE made = :made AND owner = :owner"
_RELEASE = "DELETE FROM claims WHERE made = :made AND architecture = :architecture AND seed = :seed AND owner = :owner"
_SIGN = (
    "INSERT INTO owners (owner, machine, pid, born, beat) VALUES (:owner, :machine, :pid, :born, {now}) "
    "ON CONFLICT (owner) DO UPDATE SET beat = excluded.beat"
)
_OWNERS = "SELECT owner, machine, pid, born, {now} - beat FROM owners"
_FORGET = ("DELETE FROM claims WHERE owner = :owner", "DELETE FROM owners WHERE owner = :owner")

SIGN_INTERVAL = 30.0
"""Seconds between two signs of life of a store that has claimed something."""
_QUERY_SIZE = 500
"""Architectures asked for in one query."""


class Score(NamedTuple):
    """A value, or the reason why there is none."""

    value: float | None
    reason: str | None


def _is_score(score: Score) -> bool:
    """Whether what a row holds is a finite number, or a reason in its place."""
    if score.value is None:
        return isinstance(score.reason, str)
    return isinstance(score.value, int | float) and math.isfinite(score.value)


class Store:
    """Scores in a SQLite file (a path), a database (a URL) or memory (`None`).

    A `fingerprint` stands for all that a set of scores depends on beside architecture, seed and proxy: space, data,
    settings, versions. Use the store in a `with` block. Every process that has it open sees at once what was added, and
    work that was interrupted goes on where it stopped. Processes that share a store `claim` what they are about to
    compute, so that nothing is computed twice.

    Args:
        where: path of a file, new or existing, `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`,
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

        self.database = Database(where, _TABLES)
        self.where = self.database.name
        self.owner = uuid.uuid4().hex
        self.closed = threading.Event()
        self.heartbeat: threading.Thread | None = None

    def known(self, fingerprint: str, architectures: Sequence[str] | None = None) -> dict[tuple[str, int, str], Score]:
        """All scores under a fingerprint, or those of some architectures, by architecture, seed and proxy."""
        with self.database.transaction() as execute:
            if architectures is None:
                rows = execute(_KNOWN, {"made": fingerprint})
            else:
                parts = [list(architectures[i : i + _QUERY_SIZE]) for i in range(0, len(architectures), _QUERY_SIZE)]
                few = f"{_KNOWN} AND architecture IN :architectures"
                rows = [row for part in parts for row in execute(few, {"made": fingerprint, "architectures": part})]
        scores = {(arch, seed, proxy): Score(value, reason) for arch, seed, proxy, value, reason in rows}
        for key, score in scores.items():
            if not _is_score(score):
                raise ZerocostError(
                    f"the store {self.where} holds no score of {key[2]} for architecture {key[0]}, seed {key[1]}, but "
                    f"{score.value!r}; expected a finite number, or a reason. Delete that row, or use another store"
                )
        return scores

    def add(self, fingerprint: str, rows: Mapping[tuple[str, int, str], Score]) -> None:
        """Add scores, all or none, and release the claims on their architectures and seeds.

        A failure for lack of memory is not kept: the score may succeed on another machine.
        """
        kept = [
            {"made": fingerprint, "architecture": arch, "seed": seed, "proxy": proxy, "value": value, "reason": reason}
            for (arch, seed, proxy), (value, reason) in rows.items()
            if "out of memory" not in (reason or "")
        ]
        with self.database.transaction(write=True) as execute:
            execute(_ADD, kept)
            execute(_RELEASE, self._rows(fingerprint, {(arch, seed) for arch, seed, _ in rows}))

    def claim(self, fingerprint: str, keys: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Claim architectures and seeds; returns those that are now this store's to compute.

        The others are claimed by another process. Claims of a process that has ended, or has given no sign of life
        for `owners.LONGEST_SILENCE` seconds, are taken over. Scores may have been added since they were last read, so
        read again after claiming. A store in memory, which no other process sees, gets all of them.
        """
        wanted = set(keys)
        if not wanted or not self.database.shared:
            return wanted
        with self.database.transaction(write=True) as execute:
            self._sign(execute)
            signs = [(owner, owners.LifeSign(*sign)) for owner, *sign in execute(_OWNERS)]
            self._forget(execute, [owner for owner, sign in signs if owner != self.owner and owners.is_gone(sign)])
            execute(_CLAIM, self._rows(fingerprint, wanted))
            held = {(arch, seed) for arch, seed in execute(_HELD, {"made": fingerprint, "owner": self.owner})}
        if self.heartbeat is None:
            self.heartbeat = threading.Thread(target=self._beat, daemon=True)
            self.heartbeat.start()
        return wanted & held

    def release(self, fingerprint: str, keys: Iterable[tuple[str, int]]) -> None:
        """Give up claims on what will not be computed after all."""
        if self.database.shared:
            with self.database.transaction(write=True) as execute:
                execute(_RELEASE, self._rows(fingerprint, keys))

    def close(self) -> None:
        """Release all claims and close the connections."""
        self.closed.set()
        try:
            if self.heartbeat is not None:
                self.heartbeat.join()
                with self.database.transaction(write=True) as execute:
                    self._forget(execute, [self.owner])
        finally:
            self.database.close()

    def _rows(self, fingerprint: str, keys: Iterable[tuple[str, int]]) -> list[dict[str, object]]:
        return [{"made": fingerprint, "architecture": arch, "seed": seed, "owner": self.owner} for arch, seed in keys]

    def _sign(self, execute: Execute) -> None:
        """Give a sign of life."""
        execute(_SIGN, {"owner": self.owner, **owners.this_process()})

    def _forget(self, execute: Execute, ended: Iterable[str]) -> None:
        """Release what these owners claimed."""
        for statement in _FORGET:
            execute(statement, [{"owner": owner} for owner in ended])

    def _beat(self) -> None:
        """Give signs of life, in a thread of its own, until the store is closed."""
        while not self.closed.wait(SIGN_INTERVAL):
            with contextlib.suppress(ZerocostError), self.database.transaction(write=True) as execute:
                self._sign(execute)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
