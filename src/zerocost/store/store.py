"""The score store: scores, and claims on those being computed, which many processes and machines can share."""

from __future__ import annotations

import contextlib
import math
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from zerocost.base.errors import ZerocostError
from zerocost.store import owners
from zerocost.store.schema import prepare

if TYPE_CHECKING:
    from zerocost.store.database import Execute

_SCORES = "SELECT architecture, seed, proxy, value, reason FROM scores JOIN jobs ON jobs.id = job WHERE made = :made"
_JOB = (
    "INSERT INTO jobs (id, made, about) SELECT COALESCE(MAX(id), 0) + 1, :made, :about FROM jobs WHERE true "
    "ON CONFLICT (made) DO UPDATE SET about = excluded.about WHERE jobs.about = ''"
)
_INTO = "INSERT INTO scores (job, architecture, seed, proxy, value, reason)"
_CHANGED = "ON CONFLICT (job, architecture, seed, proxy) DO UPDATE SET value = excluded.value, reason = excluded.reason"
_ARRAYS = (
    "CAST(:architecture AS TEXT[]), CAST(:seed AS BIGINT[]), CAST(:proxy AS TEXT[]), "
    "CAST(:value AS DOUBLE PRECISION[]), CAST(:reason AS TEXT[])"
)
_ADD = {
    "sqlite": f"{_INTO} VALUES (:job, :architecture, :seed, :proxy, :value, :reason) {_CHANGED}",
    "postgresql": f"{_INTO} SELECT :job, * FROM unnest({_ARRAYS}) {_CHANGED}",
}
"""A row for each execution, or, two to three times as fast on a server, all rows in one."""
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


_Row = tuple[str, int, str, float | None, str | None]


class Score(NamedTuple):
    """A value, or the reason why there is none."""

    value: float | None
    reason: str | None


def _is_key(architecture: Any, seed: Any, proxy: Any) -> bool:
    """Whether the columns that name a score have values of their types."""
    return isinstance(architecture, str) and isinstance(seed, int) and isinstance(proxy, str)


def _is_score(score: Score) -> bool:
    """Whether what a row holds is a finite number, or a reason in its place."""
    if score.value is None:
        return isinstance(score.reason, str)
    return score.reason is None and isinstance(score.value, int | float) and math.isfinite(score.value)


class Store:
    """Scores in a SQLite file (a path), a database (a URL) or memory (`None`).

    A `fingerprint` stands for all that a set of scores depends on besides architecture, seed and proxy: space, data,
    settings, versions. Use the store in a `with` block. Every process that has it open sees at once what was added, and
    work that was interrupted goes on where it stopped. Processes that share a store `claim` what they are about to
    compute, so that nothing is computed twice.

    Args:
        where: path of a file, new or existing, `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`,
            or `None`.
        existing: whether it is opened for what it holds, as an error then says.

    Raises:
        InputError: nothing can be kept there.
        MissingExtraError: the driver of PostgreSQL is not installed.

    >>> with Store(None) as store:
    ...     store.add("settings", {("arch-1", 0, "snip"): Score(1.5, None), ("arch-1", 0, "zen"): Score(None, "NaN")})
    ...     store.known("settings")["arch-1", 0, "snip"]
    Score(value=1.5, reason=None)
    """

    def __init__(self, where: str | Path | None, existing: bool = False) -> None:
        from zerocost.store.database import Database

        self.database = Database(where, prepare, existing)
        self.where = self.database.name
        self.owner = uuid.uuid4().hex
        self.closed = threading.Event()
        self.heartbeat: threading.Thread | None = None

    def known(self, fingerprint: str, architectures: Sequence[str] | None = None) -> dict[tuple[str, int, str], Score]:
        """All scores under a fingerprint, or those of some architectures, by architecture, seed and proxy.

        Raises:
            ZerocostError: a row is not what the store writes; the message names it.
        """

        def read(execute: Execute) -> list[Any]:
            if architectures is None:
                return execute(_SCORES, {"made": fingerprint})
            parts = [list(architectures[i : i + _QUERY_SIZE]) for i in range(0, len(architectures), _QUERY_SIZE)]
            few = f"{_SCORES} AND architecture IN :architectures"
            return [row for part in parts for row in execute(few, {"made": fingerprint, "architectures": part})]

        rows = self.database.transact(read)
        for arch, seed, proxy, value, reason in rows:
            self._check_row(_is_key(arch, seed, proxy), f"score of {proxy!r} for {arch!r}, seed {seed!r}")
            if not _is_score(Score(value, reason)):
                found = repr(value) if value is None or reason is None else f"{value!r} and the reason {reason!r}"
                raise ZerocostError(
                    f"the store {self.where} holds no score of {proxy} for architecture {arch}, seed {seed}, but "
                    f"{found}; expected a finite number, or a reason. Delete that row, or use another store"
                )
        return {(arch, seed, proxy): Score(value, reason) for arch, seed, proxy, value, reason in rows}

    def add(self, fingerprint: str, rows: Mapping[tuple[str, int, str], Score], about: str = "") -> None:
        """Add scores, all or none, and release the claims on their architectures and seeds.

        A failure for lack of memory is not kept: the score may succeed on another machine.

        Args:
            fingerprint: what the scores depend on.
            rows: scores by architecture, seed and proxy.
            about: the same for people to read, kept with the first scores.
        """
        kept = [
            (arch, seed, proxy, None if value is None else float(value), reason)
            for (arch, seed, proxy), (value, reason) in rows.items()
            if "out of memory" not in (reason or "")
        ]

        def write(execute: Execute) -> None:
            execute(_JOB, {"made": fingerprint, "about": about})
            [(job,)] = execute("SELECT id FROM jobs WHERE made = :made", {"made": fingerprint})
            if kept:
                execute(_ADD[self.database.kind], self._scores(job, kept))
            execute(_RELEASE, self._rows(fingerprint, {(arch, seed) for arch, seed, _ in rows}))

        self.database.transact(write, write=True)

    def claim(self, fingerprint: str, keys: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Claim architectures and seeds; returns those that are now this store's to compute.

        The others are claimed by another process. Claims of a process that has ended, or has given no sign of life
        for `owners.LONGEST_SILENCE` seconds, are taken over. Scores may have been added since they were last read, so
        read again after claiming. A store in memory, which no other process sees, gets all of them.
        """
        wanted = set(keys)
        if not wanted or not self.database.shared:
            return wanted

        def claim(execute: Execute) -> set[tuple[str, int]]:
            self._sign(execute)
            signs = [(owner, owners.LifeSign(*sign)) for owner, *sign in execute(_OWNERS)]
            for owner, sign in signs:
                self._check_row(isinstance(sign.silent, int | float), f"owner {owner!r} without a time")
            self._forget(execute, [owner for owner, sign in signs if owner != self.owner and owners.is_gone(sign)])
            execute(_CLAIM, self._rows(fingerprint, wanted))
            return {(arch, seed) for arch, seed in execute(_HELD, {"made": fingerprint, "owner": self.owner})}

        held = self.database.transact(claim, write=True)
        if self.heartbeat is None:
            self.heartbeat = threading.Thread(target=self._beat, daemon=True)
            self.heartbeat.start()
        return wanted & held

    def release(self, fingerprint: str, keys: Iterable[tuple[str, int]]) -> None:
        """Give up claims on what will not be computed after all."""
        if self.database.shared:
            rows = self._rows(fingerprint, keys)
            self.database.transact(lambda execute: execute(_RELEASE, rows), write=True)

    def close(self) -> None:
        """Release all claims and close the connections."""
        self.closed.set()
        try:
            if self.heartbeat is not None:
                self.heartbeat.join()
                self.database.transact(lambda execute: self._forget(execute, [self.owner]), write=True)
        finally:
            self.database.close()

    def _scores(self, job: int, rows: list[_Row]) -> list[dict[str, Any]] | dict[str, Any]:
        """Rows of a job as `_ADD` takes them."""
        names = ("architecture", "seed", "proxy", "value", "reason")
        if self.database.kind == "postgresql":
            return {"job": job, **dict(zip(names, zip(*rows, strict=True), strict=True))}
        return [{"job": job, **dict(zip(names, row, strict=True))} for row in rows]

    def _rows(self, fingerprint: str, keys: Iterable[tuple[str, int]]) -> list[dict[str, object]]:
        return [{"made": fingerprint, "architecture": arch, "seed": seed, "owner": self.owner} for arch, seed in keys]

    def _check_row(self, right: bool, row: str) -> None:
        """`ZerocostError` that names a row which is not what the store writes."""
        if not right:
            raise ZerocostError(
                f"the store {self.where} holds a row that no store writes: {row}. Delete it, or use another store"
            )

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
            with contextlib.suppress(ZerocostError):
                self.database.transact(self._sign, write=True, patience=0)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
