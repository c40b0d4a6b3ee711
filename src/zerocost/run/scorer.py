"""Scores of many architectures from several seeds, in one process or many, through a store that others may share."""

from __future__ import annotations

import concurrent.futures as cf
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from types import TracebackType

from zerocost.base.errors import Failure, InputError
from zerocost.base.pool import Pool
from zerocost.base.progress import StepProgress
from zerocost.base.shared_pool import PoolPart
from zerocost.base.workers import Workers
from zerocost.proxies.registry import resolve
from zerocost.run.fingerprint import describe, fingerprints, proxy_identity
from zerocost.run.job import Job, Key, Scores, failed_scores, in_workers
from zerocost.store import Store

_WRITE_INTERVAL = 0.5
"""Seconds between two writes to the store, at least. About as much work is claimed at a time."""
_POLL_INTERVAL = 0.2
"""Seconds to wait for what other processes compute before asking for it again."""
_GRACE = 1.0
"""Seconds to wait, after Ctrl-C or an error, for what worker processes are computing before they are ended."""

_ScoresByKey = dict[Key, Scores]


class Scorer:
    """Scores the architectures of one job. Scores that the store has are read, the others are computed and stored.

    Call it as often as needed inside a `with` block. `workers` processes are started when first needed and end with the
    block; with one worker, scoring happens in the calling process. A network whose worker process dies, as when memory
    runs out, is tried again when the others are done, alone and in a new process; if that dies too, its scores are
    failures. What another process on the same store is computing is waited for, and computed here if that process ends
    without a score. When a call ends, for whatever reason, the store has everything that was computed.

    Args:
        job: what is scored and on what.
        store: where scores are read and kept.
        workers: number of processes, as in `rank`.
        ray: the Ray cluster to score on, as in `rank`.
        shared: worker processes that do other work too, in place of its own; what they call is `in_workers` of the job.

    Attributes:
        fingerprints: for each seed of the job, what its scores are stored under.

    Raises:
        InputError: a device that cannot be used, or fewer than one worker.

    >>> from zerocost import spaces
    >>> from zerocost.run import draw_job_batches
    >>> space, small = spaces.get("cnn", resolution=8), spaces.Fidelity(width=0.2, depth=0.4)
    >>> job = Job(space, ("params",), draw_job_batches("digits:8", [0], 8, 1, False, small), small, None)
    >>> text = str(next(iter(space)))
    >>> with Store(None) as store, Scorer(job, store=store) as score:
    ...     scores = score([text])[text, 0]
    >>> scores["params"].value > 0
    True
    """

    def __init__(
        self,
        job: Job,
        *,
        store: Store,
        workers: int | None = None,
        ray: str | None = None,
        shared: PoolPart | None = None,
    ) -> None:
        self.job, self.store, self.workers = job, store, Workers(workers, ray, job.device)
        self.proxies = resolve(job.proxies)
        self.identities = {p.name: proxy_identity(p) for p in self.proxies}
        self.fingerprints = fingerprints(job)
        self.shared = shared
        self.pool: Pool | PoolPart | None = None
        self.unwritten: _ScoresByKey = {}
        self.written_at = -_WRITE_INTERVAL

    def __call__(
        self,
        texts: Sequence[str],
        *,
        seeds: Iterable[int] | None = None,
        progress: StepProgress | None = None,
    ) -> _ScoresByKey:
        """The scores of every architecture from every seed, by text and seed, then by proxy.

        Args:
            texts: the architectures, as texts.
            seeds: some of the job's seeds; all of them if None.
            progress: called with the number of networks scored, each seed counting, and the total.

        Raises:
            InputError: a seed that the job has no batches of, or work that cannot be sent to other processes.
            ZerocostError: worker processes cannot be set up.
            KeyboardInterrupt: at Ctrl-C; it says how many networks were scored.
        """
        chosen = list(self.fingerprints if seeds is None else seeds)
        if strange := [seed for seed in chosen if seed not in self.fingerprints]:
            known = ", ".join(map(str, self.fingerprints))
            raise InputError(f"the job has no batches of seed {strange[0]}, only of {known}")
        scores: _ScoresByKey = {(text, seed): {} for seed in chosen for text in texts}
        missing = self.read(scores, scores)
        done = len(scores) - len(missing)
        try:
            with closing(_Call(self, scores, missing).complete()) as completed:
                for _ in completed:
                    done += 1
                    if progress:
                        progress(done, len(scores))
        except KeyboardInterrupt:
            kept = f", and kept in {self.store.where}" if self.store.where else ""
            raise KeyboardInterrupt(f"interrupted; {done} of {len(scores)} networks were scored{kept}") from None
        return scores

    def read(self, scores: _ScoresByKey, keys: Iterable[Key]) -> list[Key]:
        """Fill in what the store has; returns the keys that still lack scores."""
        keys = list(keys)
        for seed, texts in _by_seed(keys).items():
            known = self.store.known(self.fingerprints[seed], texts)
            for text in texts:
                have = {n: known[text, seed, i] for n, i in self.identities.items() if (text, seed, i) in known}
                scores[text, seed] |= have
        return [key for key in keys if self.missing_proxies(scores[key])]

    def missing_proxies(self, scores: Scores) -> frozenset[str]:
        """The names of the proxies that are not among these scores."""
        return frozenset(self.identities.keys() - scores.keys())

    def claim(self, keys: list[Key]) -> set[Key]:
        """Claim these keys; returns those that no other process computes."""
        return {
            key
            for seed, texts in _by_seed(keys).items()
            for key in self.store.claim(self.fingerprints[seed], [(text, seed) for text in texts])
        }

    def release(self, keys: Iterable[Key]) -> None:
        """Give up claims."""
        for seed, texts in _by_seed(keys).items():
            self.store.release(self.fingerprints[seed], [(text, seed) for text in texts])

    def submit(self, key: Key, wanted: frozenset[str]) -> cf.Future[Scores]:
        """Have one network scored, in a worker process or at once in this one."""
        if not self.workers.in_process:
            self.pool = self.pool or self.shared or self.workers.pool(in_workers(self.job))
            return self.pool.submit(key, wanted)
        future = cf.Future[Scores]()
        future.set_result(self.job.score(self.proxies, key, wanted))
        return future

    @property
    def room(self) -> int:
        """How many networks may be computed at a time."""
        return self.pool.room if self.pool else self.workers.count

    def write(self) -> None:
        """Write to the store what it does not have yet."""
        for seed, texts in _by_seed(self.unwritten).items():
            scores = {(t, seed, self.identities[p]): s for t in texts for p, s in self.unwritten[t, seed].items()}
            self.store.add(self.fingerprints[seed], scores, describe(self.job))
        self.unwritten.clear()
        self.written_at = time.monotonic()

    def close(self) -> None:
        """End the worker processes."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Call:
    """One call of a scorer: takes each missing network from waiting to claimed, running and scored.

    Attributes:
        waiting: networks to claim, among them those that other processes have claimed.
        claimed: networks that are this process's to compute.
        running: the network that each future computes.
        refused: how many of the last networks tried in a row belong to other processes.
        computed: how many were computed since `start`.
    """

    def __init__(self, scorer: Scorer, scores: _ScoresByKey, missing: list[Key]) -> None:
        self.scorer, self.scores = scorer, scores
        self.waiting, self.claimed = deque(missing), deque[Key]()
        self.running: dict[cf.Future[Scores], Key] = {}
        self.refused = self.computed = 0
        self.start = time.monotonic()

    def complete(self) -> Generator[Key]:
        """Compute what is missing, or wait until another process has; gives each network once it has all scores."""
        try:
            while self.waiting or self.claimed or self.running:
                if self.waiting and not self.claimed and len(self.running) < self.scorer.room:
                    yield from self._claim()
                self._submit()
                yield from self._collect()
                self._write_or_wait()
        finally:
            self._finish()

    def _claim(self) -> Iterator[Key]:
        """Claim some of what is waiting; gives the networks that another process has scored in the meantime."""
        tried = [self.waiting.popleft() for _ in range(self._claim_size())]
        claimed = self.scorer.claim(tried)
        lacking = self.scorer.read(self.scores, tried)
        self.claimed += (key for key in lacking if key in claimed)
        self.waiting += (key for key in lacking if key not in claimed)
        self.scorer.release(claimed.difference(lacking))
        self.refused = self.refused + len(tried) if not self.claimed and len(lacking) == len(tried) else 0
        yield from (key for key in tried if not self.scorer.missing_proxies(self.scores[key]))

    def _claim_size(self) -> int:
        """How many networks to claim: as many as are computed between two writes, and enough to fill the room.

        All of them when other processes have everything that is waiting.
        """
        if self._all_refused():
            return len(self.waiting)
        seconds = max(time.monotonic() - self.start, _WRITE_INTERVAL)
        between_writes = int(_WRITE_INTERVAL * self.computed / seconds)
        return min(len(self.waiting), max(self.scorer.room - len(self.running), between_writes))

    def _all_refused(self) -> bool:
        """Whether everything that is waiting was found to belong to other processes."""
        return self.refused >= len(self.waiting)

    def _submit(self) -> None:
        """Start computing what is claimed, as far as there is room."""
        while self.claimed and len(self.running) < self.scorer.room:
            key = self.claimed[0]  # not removed before it runs: if that raises, its claim is released
            self.running[self.scorer.submit(key, self.scorer.missing_proxies(self.scores[key]))] = key
            self.claimed.popleft()

    def _collect(self) -> Iterator[Key]:
        """Take in what was computed; gives each network."""
        for future in cf.wait(self.running, _WRITE_INTERVAL, cf.FIRST_COMPLETED).done:
            key = self.running[future]
            try:
                found: Scores = future.result()
            except Failure as reason:
                found = failed_scores(self.scorer.missing_proxies(self.scores[key]), reason)
            self.scorer.unwritten[key] = found
            del self.running[future]
            self.scores[key] |= found
            self.computed += 1
            yield key

    def _write_or_wait(self) -> None:
        """Write when it is time, and before waiting for other processes."""
        blocked = bool(self.waiting) and self._all_refused()
        if blocked or time.monotonic() - self.scorer.written_at >= _WRITE_INTERVAL:
            self.scorer.write()
        if blocked and not self.running:
            time.sleep(_POLL_INTERVAL)

    def _finish(self) -> None:
        """Write everything that was or is soon computed, and release the other claims."""
        self.scorer.write()
        ended, running = cf.wait([future for future in self.running if not future.cancel()], _GRACE)
        for future in ended:
            if future.exception() is None:
                self.scorer.unwritten[self.running[future]] = future.result()
        if running:
            self.scorer.close()
        self.scorer.write()
        self.scorer.release({*self.claimed, *self.running.values()})


def _by_seed(keys: Iterable[Key]) -> dict[int, list[str]]:
    """The texts of each seed."""
    groups: dict[int, list[str]] = {}
    for text, seed in keys:
        groups.setdefault(seed, []).append(text)
    return groups
