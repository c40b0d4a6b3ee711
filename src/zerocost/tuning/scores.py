"""The scores that a tuning chooses among: each architecture by each proxy under each setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from zerocost.base.errors import Failure, InputError
from zerocost.base.fidelity import as_fidelities
from zerocost.base.progress import StageProgress
from zerocost.base.shared_pool import SharedPool
from zerocost.base.whole import is_whole
from zerocost.base.workers import Workers
from zerocost.data import draw
from zerocost.engine.proxy import Proxy
from zerocost.run import Job, Scorer, Scores, draw_job_batches
from zerocost.run.job import Key
from zerocost.search.measure import mean_scores
from zerocost.search.shared_sizes import counting
from zerocost.search.sizes import SIZE_PROXIES
from zerocost.spaces import Fidelity, SearchSpace
from zerocost.store import Store
from zerocost.tasks import Task, classification


class Setting(NamedTuple):
    """How architectures are scored: the fidelity, the samples in the batch, and the number of initialisations.

    >>> print(Setting("width=0.5", 32, 3))
    width=0.5, batch 32, 3 initialisations
    """

    fidelity: str
    batch: int
    repeats: int

    def __str__(self) -> str:
        return f"{self.fidelity}, batch {self.batch}, {self.repeats} initialisation{'s' * (self.repeats > 1)}"

    @property
    def cost(self) -> tuple[float, ...]:
        """Sorts settings from cheap to expensive, roughly."""
        scale = Fidelity.parse(self.fidelity)
        return scale.width * scale.depth, scale.resolution or math.inf, self.batch * self.repeats


def all_settings(fidelities: Iterable[str | Fidelity], batches: Iterable[int], repeats: Iterable[int]) -> list[Setting]:
    """All combinations of fidelities, batches and repeats, the cheapest first; what a fidelity sets is so.

    Raises:
        InputError: there is no combination, or a number is not a whole number from 1.

    >>> [str(one) for one in all_settings(["full", "width=0.5,batch=8"], [16], [1])]
    ['width=0.5,batch=8, batch 8, 1 initialisation', 'full, batch 16, 1 initialisation']
    """
    scales = as_fidelities(fidelities)
    batches, repeats = _check_counts("batches", batches), _check_counts("repeats", repeats)
    found = {
        Setting(str(replace(s, repeats=None)), s.batch or b, s.repeats or r)
        for s in scales
        for b in batches
        for r in repeats
    }
    if not found:
        raise InputError("name at least one fidelity, one batch and one number of repeats")
    return sorted(found, key=lambda one: (one.cost, one))


def _check_counts(name: str, counts: Iterable[int]) -> list[int]:
    """The whole numbers as a list; `InputError` for anything else."""
    if not isinstance(counts, Iterable):
        raise InputError(f"{name} must be a list of whole numbers, but got {counts!r}")
    found = list(counts)
    if strange := [count for count in found if not is_whole(count)]:
        raise InputError(f"{name} must be whole numbers from 1, but got {strange[0]!r}")
    return found


@dataclass(frozen=True)
class ScoringSetup:
    """What stays the same whatever setting architectures are scored under.

    Attributes:
        space: the architectures' space.
        data: what batches are drawn from.
        proxies: the proxies to score with.
        store: keeps scores, so that none is computed twice.
        seed: the first seed.
        workers: processes to score in, as in `rank`.
        ray: the Ray cluster to score on.
        device: where networks are scored.
        progress: called with "score", the number of networks scored so far and the total.
        task: what the networks' outputs are for.
    """

    space: SearchSpace
    data: Any
    proxies: Sequence[str | Proxy]
    store: Store
    seed: int = 0
    workers: int | None = None
    ray: str | None = None
    device: str | None = None
    progress: StageProgress | None = None
    task: Task = classification


def score_settings(
    texts: Sequence[str], settings: Sequence[Setting], scoring: ScoringSetup
) -> dict[Setting, pd.DataFrame]:
    """The scores under each setting, architectures by proxies, NaN where one failed; means over repeats.

    Each fidelity and batch is scored once, with as many seeds as its most repeats, in the order of `settings`.
    Parameters, FLOPs and depth are those of the full networks under every setting.

    Raises:
        InputError: every score failed; the message gives a reason.
    """
    repeats: dict[tuple[str, int], int] = {}
    for one in settings:
        repeats[one.fidelity, one.batch] = max(one.repeats, repeats.get((one.fidelity, one.batch), 0))
    total, before = len(texts) * sum(repeats.values()), 0
    frames: dict[Setting, pd.DataFrame] = {}
    reasons: list[str] = []
    for (fidelity, batch), count in repeats.items():
        scale, seeds = Fidelity.parse(fidelity), range(scoring.seed, scoring.seed + count)
        batches = draw_job_batches(scoring.data, seeds, batch, 1, False, scale)
        job = Job(scoring.space, tuple(scoring.proxies), batches, scale, scoring.device, scoring.task)

        def report(done: int, _: int, start: int = before) -> None:
            if scoring.progress:
                scoring.progress("score", start + done, total)

        with Scorer(job, store=scoring.store, workers=scoring.workers, ray=scoring.ray) as scorer:
            found = scorer(texts, progress=report)
            names = list(scorer.identities)
        before += len(texts) * count
        reasons += [one.reason for scores in found.values() for one in scores.values() if one.reason]
        for one in settings:
            if (one.fidelity, one.batch) == (fidelity, batch):
                frames[one] = mean_frame(found, texts, seeds[: one.repeats], names)
    if all(frame.isna().all(axis=None) for frame in frames.values()):
        raise InputError(f"no network could be scored: {reasons[0]}")
    sizes = _full_sizes(texts, scoring, [name for name in SIZE_PROXIES if name in names])
    return {one: frames[one].assign(**sizes) for one in settings}


def mean_frame(
    found: Mapping[Key, Scores], texts: Sequence[str], seeds: Sequence[int], names: Sequence[str]
) -> pd.DataFrame:
    """A row an architecture, a column a proxy: means over the seeds, NaN where one failed."""
    rows = {text: mean_scores([found[text, seed] for seed in seeds]) for text in texts}
    values = {text: {name: v for name, v in row.items() if isinstance(v, float)} for text, row in rows.items()}
    return pd.DataFrame.from_dict(values, orient="index", columns=list(names), dtype=float)


def _full_sizes(texts: Sequence[str], scoring: ScoringSetup, names: Sequence[str]) -> dict[str, list[float]]:
    """The named sizes of the full networks, NaN where there is none: a search limits these at any fidelity."""
    if not names:
        return {}
    inputs = draw(scoring.data, 1, seed=scoring.seed).inputs
    found: dict[str, list[float]] = {name: [] for name in names}
    workers, archs = Workers(scoring.workers, scoring.ray, scoring.device), list(map(scoring.space.parse, texts))
    with closing(SharedPool(workers)) as shared:
        counted = counting(shared, scoring.space, inputs, scoring.task.output)
        counted.begin(archs, names)
        for arch in archs:
            for name in names:
                size = counted.costs[name](arch)
                found[name].append(math.nan if isinstance(size, Failure) else size)
    return found
