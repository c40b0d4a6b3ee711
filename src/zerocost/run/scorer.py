"""Scores of many architectures from several seeds, in one process or many, through a store that others may share."""

from __future__ import annotations

import concurrent.futures as cf
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from types import TracebackType

from zerocost.base.device import check_device
from zerocost.base.errors import InputError, ZerocostError
from zerocost.proxies.registry import resolve
from zerocost.run import pool
from zerocost.run.fingerprint import fingerprints, identity
from zerocost.run.job import Job, Key, Scores
from zerocost.store import Store

EVERY = 0.5
"""Seconds between two writes to the store, at least; also about how much work is claimed at a time."""
POLL = 0.2
"""Seconds to wait for what other processes compute before asking for it again."""

Found = dict[Key, Scores]


class Scorer:
    """Scores architectures of one job: those in the store are read, the others computed and kept there.

    Call it as often as needed inside a `with` block: `workers` processes are started once, when first needed, and
    end with the block; with one worker, scoring happens in the calling process. What another process that shares the
    store is computing is waited for, and computed here if that process ends without. The store has everything that
    was computed when a call ends, whatever ended it.

    Raises `InputError` for a device that cannot be used or no workers.

    >>> from zerocost import spaces
    >>> from zerocost.run import batches_of
    >>> space, small = spaces.get("cnn", resolution=8), spaces.Fidelity(width=0.2, depth=0.4)
    >>> job = Job(space, ("params",), batches_of("digits:8", [0], 8, 1, False, small), small, None)
    >>> text = str(next(iter(space)))
    >>> with Store(None) as store, Scorer(job, store=store) as score:
    ...     scores = score([text])[text, 0]
    >>> scores["params"].value > 0
    True
    """

    def __init__(self, job: Job, *, store: Store, workers: int = 1) -> None:
        if workers < 1:
            raise InputError(f"workers must be at least 1, but got {workers}")
        check_device(job.device)
        self.job, self.store, self.workers = job, store, workers
        self.proxies = resolve(job.proxies)
        self.names = {p.name: identity(p) for p in self.proxies}
        self.made = fingerprints(job)
        self.pool: cf.ProcessPoolExecutor | None = None
        self.unwritten: Found = {}
        self.written_at = -EVERY

    def __call__(
        self,
        texts: Sequence[str],
        *,
        seeds: Iterable[int] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Found:
        """The scores of every architecture from every seed, by text and seed, then by proxy.

        `seeds` are some of the job's, all if None; `progress` is called with the number scored, each seed counting,
        and the total.

        Raises `InputError` for a seed that the job has no batches of or work that cannot be sent to other processes,
        `ZerocostError` when one of them dies, and `KeyboardInterrupt` that says how far it came at Ctrl-C.
        """
        chosen = list(self.made if seeds is None else seeds)
        if strange := [seed for seed in chosen if seed not in self.made]:
            raise InputError(f"the job has no batches of seed {strange[0]}, only of {', '.join(map(str, self.made))}")
        found: Found = {(text, seed): {} for seed in chosen for text in texts}
        missing = self._missing(found, found)
        done = len(found) - len(missing)
        try:
            with closing(self._complete(found, missing)) as completed:
                for _ in completed:
                    done += 1
                    if progress:
                        progress(done, len(found))
        except KeyboardInterrupt:
            kept = f", and kept in {self.store.where}" if self.store.where else ""
            raise KeyboardInterrupt(f"interrupted; {done} of {len(found)} networks were scored{kept}") from None
        except BrokenProcessPool:
            self.close()
            raise ZerocostError(pool.DIED) from None
        return found

    def _complete(self, found: Found, missing: list[Key]) -> Generator[Key]:
        """Compute what is missing, or wait until another process has; gives each network once it has all scores."""
        todo, ours, flying = deque(missing), deque[Key](), dict[cf.Future[Scores], Key]()
        room = 1 if self.workers == 1 else self.workers + 1
        computed, barren, start = 0, 0, time.monotonic()
        try:
            while todo or ours or flying:
                if todo and not ours and len(flying) < room:
                    lately = int(EVERY * computed / max(time.monotonic() - start, EVERY))
                    some = len(todo) if barren >= len(todo) else min(len(todo), max(room - len(flying), lately))
                    asked = [todo.popleft() for _ in range(some)]
                    claimed = self._claim(asked)
                    lacking = self._missing(found, asked)
                    ours += (key for key in lacking if key in claimed)
                    todo += (key for key in lacking if key not in claimed)
                    self._release(claimed.difference(lacking))
                    barren = barren + len(asked) if not ours and len(lacking) == len(asked) else 0
                    yield from (key for key in asked if not self._wanted(found[key]))
                while ours and len(flying) < room:
                    flying[self._submit(ours[0], self._wanted(found[ours[0]]))] = ours[0]
                    ours.popleft()
                for future in cf.wait(flying, EVERY, cf.FIRST_COMPLETED).done:
                    key = flying[future]
                    self.unwritten[key] = future.result()
                    del flying[future]
                    found[key] |= self.unwritten[key]
                    computed += 1
                    yield key
                waiting = 0 < len(todo) <= barren
                if waiting or time.monotonic() - self.written_at >= EVERY:
                    self._write()
                if waiting and not flying:
                    time.sleep(POLL)
        finally:
            self._write()
            for future in cf.wait([future for future in flying if not future.cancel()]).done:
                if future.exception() is None:
                    self.unwritten[flying[future]] = future.result()
            self._write()
            self._release({*ours, *flying.values()})

    def _missing(self, found: Found, keys: Iterable[Key]) -> list[Key]:
        """Fill in what the store has; the keys that lack scores still."""
        listed = list(keys)
        for seed, texts in by_seed(listed).items():
            known = self.store.known(self.made[seed], texts)
            for text in texts:
                have = {n: known[text, seed, i] for n, i in self.names.items() if (text, seed, i) in known}
                found[text, seed] |= have
        return [key for key in listed if self._wanted(found[key])]

    def _wanted(self, have: Scores) -> frozenset[str]:
        """The names of the proxies that are not among these scores."""
        return frozenset(self.names.keys() - have.keys())

    def _claim(self, keys: list[Key]) -> set[Key]:
        """Those of the keys that no other process computes."""
        return {
            key
            for seed, texts in by_seed(keys).items()
            for key in self.store.claim(self.made[seed], [(text, seed) for text in texts])
        }

    def _release(self, keys: Iterable[Key]) -> None:
        """Give up claims."""
        for seed, texts in by_seed(keys).items():
            self.store.release(self.made[seed], [(text, seed) for text in texts])

    def _submit(self, key: Key, wanted: frozenset[str]) -> cf.Future[Scores]:
        """Have one network scored, in a worker process or at once in this one."""
        if self.workers > 1:
            self.pool = self.pool or pool.started(self.job, self.workers)
            return self.pool.submit(pool.work, key, wanted)
        future = cf.Future[Scores]()
        future.set_result(self.job.score(self.proxies, key, wanted))
        return future

    def _write(self) -> None:
        """Write to the store what it does not have yet."""
        for seed, texts in by_seed(self.unwritten).items():
            scores = {(t, seed, self.names[p]): s for t in texts for p, s in self.unwritten[t, seed].items()}
            self.store.add(self.made[seed], scores)
        self.unwritten.clear()
        self.written_at = time.monotonic()

    def close(self) -> None:
        """End the worker processes."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def by_seed(keys: Iterable[Key]) -> dict[int, list[str]]:
    """The texts of each seed."""
    groups: dict[int, list[str]] = {}
    for text, seed in keys:
        groups.setdefault(seed, []).append(text)
    return groups
