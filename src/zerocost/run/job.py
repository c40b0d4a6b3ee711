"""A job: what is scored and on what, the same for many architectures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from zerocost import data as data_
from zerocost.base.errors import InputError
from zerocost.base.resize import check_no_larger, resize, resize_classes
from zerocost.data import Batch
from zerocost.data.as_batch import as_batch
from zerocost.data.batch import check_batches
from zerocost.engine.plan import plan
from zerocost.engine.proxy import Proxy
from zerocost.engine.signals import SIGNALS, Signal
from zerocost.proxies.registry import resolve
from zerocost.scoring.parallel import own_signals
from zerocost.scoring.rank import score_candidate
from zerocost.spaces import Fidelity, SearchSpace
from zerocost.store import Score
from zerocost.tasks import Task, classification

Scores = dict[str, Score]
Key = tuple[str, int]
"""An architecture's text and a seed."""


class Job(NamedTuple):
    """What all scores share.

    Attributes:
        space: the architectures' space.
        proxies: as the caller gave them; each process resolves them.
        batches: the batches that are scored on, for each seed.
        fidelity: at which networks are built; how often they are initialised, the seeds of `batches` say.
        device: where networks are moved before scoring; None leaves them where they were built.
        task: what the networks' outputs are for.
    """

    space: SearchSpace
    proxies: tuple[str | Proxy, ...]
    batches: dict[int, list[Batch]]
    fidelity: Fidelity
    device: str | None
    task: Task = classification

    def score(self, proxies: Sequence[Proxy], key: Key, wanted: frozenset[str]) -> Scores:
        """The scores of one network, built and measured with the seed of its key, on the batches of that seed."""
        text, seed = key
        chosen = [p for p in proxies if p.name in wanted]
        build = partial(self.space.build, self.space.parse(text), self.fidelity)
        try:
            card = score_candidate(build, self.batches[seed], plan(chosen), self.task, [seed], self.device)
        except InputError as reason:
            return failed_scores([p.name for p in chosen], reason)
        return {p.name: Score(card.scores.get(p.name), card.failures.get(p.name)) for p in chosen}


def in_workers(job: Job) -> Callable[[], Callable[[Key, frozenset[str]], Scores]]:
    """Sets a job up in a worker process: gives its `score` there.

    Proxies that are named by a file are loaded from it there. Others are sent, and so are the user's own signals,
    which the worker has not registered.
    """
    given = [[p] if isinstance(p, Proxy) or ":" in p else resolve(p) for p in job.proxies]
    return partial(_set_up, job._replace(proxies=tuple(chain.from_iterable(given))), own_signals())


def _set_up(job: Job, signals: dict[str, Signal]) -> Callable[[Key, frozenset[str]], Scores]:
    SIGNALS.update(signals)
    return partial(job.score, resolve(job.proxies))


def failed_scores(names: Iterable[str], reason: Exception) -> Scores:
    """A score without a value for each proxy, all for one reason."""
    return {name: Score(None, str(reason)) for name in names}


def draw_job_batches(
    data: Any, seeds: Sequence[int], batch: int, batches: int, balanced: bool, fidelity: Fidelity
) -> dict[int, list[Batch]]:
    """The batches of each seed, as `rank` draws them, at the resolution of the fidelity.

    Raises `InputError` for a resolution above that of the images, and for more samples than there are.
    """
    source = data_.load(data) if isinstance(data, str) else data
    check_batches(source, fidelity.batch or batch, len(seeds) * batches)

    def drawn(seed: int) -> Batch:
        inputs, targets = data_.draw(source, fidelity.batch or batch, seed=seed, balanced=balanced)
        check_no_larger(inputs, fidelity)
        if targets is not None and targets.ndim > 2 and targets.shape[-2:] == getattr(inputs, "shape", ())[-2:]:
            targets = resize_classes(targets, fidelity.resolution)
        return as_batch(Batch(resize(inputs, fidelity.resolution), targets))

    return {seed: [drawn(seed + i) for i in range(batches)] for seed in seeds}
