"""Scores of many architectures from several seeds, in one process or many, none twice."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import signal
import zlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_leaves

from zerocost import data as data_
from zerocost.benchmarks.cache import Cache, Score
from zerocost.errors import Failure, InputError, ZerocostError
from zerocost.proxies.registry import Proxy, resolve
from zerocost.scoring import rank_batch, usable
from zerocost.seeding import initialise
from zerocost.spaces import Fidelity, SearchSpace, resize
from zerocost.version import VERSION

Scores = dict[str, Score]
Task = tuple[str, int, frozenset[str]]
"""An architecture's text, a seed, and the names of the proxies to compute."""


class Job(NamedTuple):
    """What all tasks share; `proxies` as the caller gave them, for each process to resolve."""

    space: SearchSpace
    proxies: tuple[str | Proxy, ...]
    batches: dict[int, list[tuple[Any, ...]]]
    fidelity: Fidelity
    device: str | None

    def score(self, proxies: Sequence[Proxy], text: str, seed: int, wanted: frozenset[str]) -> Scores:
        """One network's scores: built and measured with the seed, on the batches of that seed."""
        chosen = [p for p in proxies if p.name in wanted]
        build = partial(self.space.build, self.space.parse(text), self.fidelity)
        try:
            table = rank_batch({text: build}, self.batches[seed], chosen, seed=seed, device=self.device)
        except InputError as reason:
            return {p.name: Score(None, str(reason)) for p in chosen}
        card = table.cards[text]
        return {p.name: Score(card.scores.get(p.name), card.failures.get(p.name)) for p in chosen}


def batches_of(
    data: Any, seeds: Sequence[int], batch: int, batches: int, balanced: bool, fidelity: Fidelity
) -> dict[int, list[tuple[Any, ...]]]:
    """The batches of each seed, those that `rank` draws with it, at the resolution of the fidelity."""
    source = data_.load(data) if isinstance(data, str) else data

    def drawn(seed: int) -> tuple[Any, ...]:
        inputs, targets = data_.draw(source, fidelity.batch or batch, seed=seed, balanced=balanced)
        return resize(inputs, fidelity.resolution), targets

    return {seed: [drawn(seed + i) for i in range(batches)] for seed in seeds}


def scored(
    job: Job,
    architectures: Sequence[str],
    *,
    workers: int,
    cache: Cache,
    progress: Callable[[int, int], None] | None = None,
) -> dict[tuple[str, int], Scores]:
    """The scores of every architecture from every seed; those in the cache are read, the others computed and kept.

    Raises `InputError` when the work cannot be sent to other processes, `ZerocostError` when one of them dies, and
    `KeyboardInterrupt` that says how far it came at Ctrl-C.
    """
    usable(job.device)
    proxies = resolve(job.proxies)
    names = {p.name: identity(p) for p in proxies}
    made = {seed: fingerprint(job, architectures[0], seed) for seed in job.batches}
    found: dict[tuple[str, int], Scores] = {}
    for seed in job.batches:
        known = cache.known(made[seed])
        for text in architectures:
            found[text, seed] = {n: known[text, seed, i] for n, i in names.items() if (text, seed, i) in known}
    tasks = [(*key, wanted) for key, have in found.items() if (wanted := frozenset(names.keys() - have.keys()))]
    done = len(found) - len(tasks)
    try:
        with closing(run(job, proxies, tasks, workers)) as results:
            for (text, seed, _), scores in zip(tasks, results, strict=True):
                found[text, seed] |= scores
                cache.add(made[seed], text, seed, {names[name]: score for name, score in scores.items()})
                done += 1
                if progress:
                    progress(done, len(found))
    except KeyboardInterrupt:
        kept = f", and kept in {cache.path}" if cache.path else ""
        raise KeyboardInterrupt(f"interrupted; {done} of {len(found)} networks were scored{kept}") from None
    return found


def run(job: Job, proxies: Sequence[Proxy], tasks: Sequence[Task], workers: int) -> Generator[Scores]:
    """The scores of each task, in order."""
    if workers == 1 or len(tasks) < 2:
        yield from starmap(partial(job.score, proxies), tasks)
        return
    try:
        payload = pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"the space or a proxy cannot be sent to other processes ({error}): define its functions at the top level "
            "of an importable file, name a proxy as my_proxy.py:mine, or use workers=1"
        ) from None
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, begin, (payload,))
    try:
        yield from pool.map(work, tasks)
    except BrokenProcessPool:
        raise ZerocostError(
            "a worker process died: it ran out of memory, cannot import what the space or a proxy is made of, or the "
            'script that started it has no `if __name__ == "__main__":` around the call; workers=1 shows which'
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


JOB: dict[str, Callable[[str, int, frozenset[str]], Scores]] = {}
"""In a worker process: the one function of its job."""


def begin(payload: bytes) -> None:
    """Set up a worker process: one torch thread, Ctrl-C left to the main process, the user's proxies loaded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    job: Job = pickle.loads(payload)
    JOB["score"] = partial(job.score, resolve(job.proxies))


def work(task: Task) -> Scores:
    """Do one task in a worker process."""
    return JOB["score"](*task)


def fingerprint(job: Job, first: str, seed: int) -> str:
    """A digest of what the scores of one seed depend on beside architecture and proxy."""
    digest = hashlib.sha256()
    try:
        network = initialise(partial(job.space.build, job.space.parse(first), job.fidelity))
        shapes = [tuple(p.shape) for p in network.parameters()]
    except Failure:
        shapes = []
    for part in (VERSION, torch.__version__, job.space.name, first, shapes, job.fidelity, job.device or "cpu"):
        digest.update(f"{part}\n".encode())
    for leaf in tree_leaves(job.batches[seed]):
        digest.update(leaf.cpu().numpy().tobytes() if isinstance(leaf, torch.Tensor) else repr(leaf).encode())
    return digest.hexdigest()


def identity(proxy: Proxy) -> str:
    """A proxy's name, and for one of the user's own a checksum of the file it is defined in, or else of its code."""
    if proxy.formula.__module__.startswith("zerocost."):
        return proxy.name
    code = proxy.formula.__code__
    file = Path(code.co_filename)
    return f"{proxy.name} {zlib.crc32(file.read_bytes() if file.is_file() else code.co_code):08x}"
