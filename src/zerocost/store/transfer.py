"""What a store holds, and its rows in another store or in a file."""

from __future__ import annotations

import csv
import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from zerocost.base.errors import InputError
from zerocost.base.files import check_file, replace_file
from zerocost.base.result import check_parquet
from zerocost.store.store import Score, Store
from zerocost.store.urls import as_url, display_url

_PAGE = 10_000
"""Rows read at a time."""
_TOLERANCE = 1e-6
"""How far two values of one score may be apart, as a share of them, before they count as different."""
_JOBS = (
    "SELECT made, about, MIN(seed), MAX(seed), COUNT(DISTINCT architecture), COUNT(DISTINCT proxy), COUNT(*), "
    "COUNT(*) - COUNT(value) FROM jobs JOIN scores ON job = id GROUP BY id, made, about ORDER BY id"
)
_NEXT = (
    "SELECT made, about, job, architecture, seed, proxy, value, reason FROM scores JOIN jobs ON id = job "
    "WHERE (job, architecture, seed, proxy) > (:job, :architecture, :seed, :proxy) "
    "ORDER BY job, architecture, seed, proxy LIMIT :page"
)


class _JobSummary(NamedTuple):
    """How much there is of the scores that depend on the same.

    Attributes:
        made: their fingerprint.
        about: what they depend on, in words; empty where a store of an early version did not keep that.
        first_seed: the least of their seeds.
        last_seed: the greatest.
        architectures: how many.
        proxies: how many.
        scores: how many, failures counted.
        failures: how many have a reason instead of a value.
    """

    made: str
    about: str
    first_seed: int
    last_seed: int
    architectures: int
    proxies: int
    scores: int
    failures: int


class _Row(NamedTuple):
    """A score with everything it is told apart by, in the order of an exported file."""

    made: str
    about: str
    architecture: str
    seed: int
    proxy: str
    value: float | None
    reason: str | None


class _Merged(NamedTuple):
    """What `merge` did.

    Attributes:
        added: scores that the store did not have.
        replaced: scores of which it had only a failure.
        known: scores that it had.
        different: some of these, of which the values differ by more than rounding; the store's own were kept.
        example: one that differs, in words.
    """

    added: int
    replaced: int
    known: int
    different: int
    example: str


def open_existing(where: str | Path) -> Store:
    """A store that is there already.

    Raises:
        InputError: there is none, or a SQLite file holds something else.
    """
    url, advice = as_url(where), "give the path or URL of one that was written"
    if url.get_backend_name() == "sqlite":
        if not (url.database and Path(url.database).exists()):
            raise InputError(f"there is no store {display_url(url)}; {advice}")
        tables = _tables_of(Path(url.database))
        if tables is not None and "scores" not in tables:
            held = f"the tables {', '.join(map(repr, tables))}" if tables else "nothing"
            raise InputError(f"{display_url(url)} is no store of scores: it holds {held}; {advice}")
    return Store(where, existing=True)


def _tables_of(file: Path) -> list[str] | None:
    """The names of the tables in a SQLite file, which is left as it is; None where they cannot be read."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    except sqlite3.Error:
        return None


def summarise(store: Store) -> list[_JobSummary]:
    """What a store holds, the oldest first."""
    return [_JobSummary(*row) for row in store.database.transact(lambda execute: execute(_JOBS))]


def _all_rows(store: Store) -> Iterator[list[_Row]]:
    """All rows of a store, some thousand at a time, always in the same order."""
    last: dict[str, Any] = {"job": 0, "architecture": "", "seed": 0, "proxy": "", "page": _PAGE}
    while rows := store.database.transact(lambda execute: execute(_NEXT, last)):  # noqa: B023  called at once
        yield [_Row(made, about, *rest) for made, about, _, *rest in rows]
        last |= dict(zip(("job", "architecture", "seed", "proxy"), rows[-1][2:6], strict=True))


def merge(sources: Iterable[Store], into: Store) -> _Merged:
    """Add the scores of other stores to one. What it has stays; a value takes the place of a failure.

    Scores are told apart by fingerprint, architecture, seed and proxy. Two values of one score can differ: by rounding,
    where different processors computed them, or because the code of a space changed what its fingerprint does not see.

    >>> with Store(None) as one, Store(None) as two, Store(None) as both:
    ...     one.add("settings", {("a", 0, "snip"): Score(1.0, None), ("b", 0, "snip"): Score(None, "NaN")})
    ...     two.add("settings", {("a", 0, "snip"): Score(2.0, None), ("b", 0, "snip"): Score(3.0, None)})
    ...     merged = merge([one, two], both)
    ...     both.known("settings")["b", 0, "snip"].value
    3.0
    >>> merged.added, merged.known, merged.different
    (2, 1, 1)
    >>> merged.replaced
    1
    """
    added = replaced = known = different = 0
    example = ""
    for rows in (rows for source in sources for rows in _all_rows(source)):
        jobs: dict[tuple[str, str], list[_Row]] = {}
        for row in rows:
            jobs.setdefault((row.made, row.about), []).append(row)
        for (made, about), group in jobs.items():
            there = into.known(made, list({row.architecture for row in group}))
            new = {}
            for row in group:
                key, score = (row.architecture, row.seed, row.proxy), Score(row.value, row.reason)
                if key not in there or (there[key].value is None and score.value is not None):
                    new[key] = score
                elif _differs(there[key], score):
                    different += 1
                    values = f"kept {there[key].value!r}, not {row.value!r}"
                    example = example or f"{row.proxy} of {row.architecture}, seed {row.seed}: {values}"
            into.add(made, new, about)
            failed = len(new.keys() & there.keys())
            added, replaced, known = added + len(new) - failed, replaced + failed, known + len(group) - len(new)
    return _Merged(added, replaced, known, different, example)


def _differs(kept: Score, other: Score) -> bool:
    """Whether two scores have values that differ by more than rounding."""
    return None not in (kept.value, other.value) and not math.isclose(
        kept.value or 0.0, other.value or 0.0, rel_tol=_TOLERANCE
    )


def check_export(path: Path) -> Callable[[Store, Path], int]:
    """What writes to a file of this name.

    Raises:
        InputError: it is neither .csv nor .parquet, or cannot be written.
        MissingExtraError: Parquet without pyarrow.
    """
    if path.suffix not in _WRITERS:
        raise InputError(f"a store is exported to a .csv or .parquet file, but got {path}")
    if path.suffix == ".parquet":
        check_parquet()
    check_file(path)
    return _WRITERS[path.suffix]


def export(store: Store, path: Path) -> int:
    """Write all rows to a .csv or .parquet file, which is replaced as a whole; returns how many.

    Raises:
        InputError: as in `check_export`.
        MissingExtraError: Parquet without pyarrow.
    """
    write, count = check_export(path), 0

    def write_rows(part: Path) -> None:
        nonlocal count
        count = write(store, part)

    replace_file(path, write_rows)
    return count


def _write_csv(store: Store, path: Path) -> int:
    """Rows as CSV; returns how many. What is missing is empty."""
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_Row._fields)
        for rows in _all_rows(store):
            writer.writerows(rows)
            count += len(rows)
    return count


def _write_parquet(store: Store, path: Path) -> int:
    """Rows as Parquet, a page a row group; returns how many."""
    import pyarrow as pa
    from pyarrow import parquet

    texts = dict.fromkeys(("made", "about", "architecture", "proxy", "reason"), pa.string())
    schema = pa.schema([(name, {"seed": pa.int64(), "value": pa.float64(), **texts}[name]) for name in _Row._fields])
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in _all_rows(store):
            writer.write_table(pa.table(list(map(list, zip(*rows, strict=True))), schema=schema))
            count += len(rows)
    return count


_WRITERS = {".csv": _write_csv, ".parquet": _write_parquet}
