"""The scores that a tuning chooses among: every architecture by every proxy under each setting, none twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from zerocost.base.errors import Failure, InputError
from zerocost.engine.proxy import Proxy
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.search.measure import averaged
from zerocost.search.sizes import PROXIES, size_costs
from zerocost.spaces import FULL, Fidelity, SearchSpace
from zerocost.store import Store


class Setting(NamedTuple):
    """How architectures are scored: at which fidelity, on how many samples, from how many initialisations.

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
        """What orders settings from cheap to dear, roughly."""
        scale = Fidelity.parse(self.fidelity)
        return scale.width * scale.depth, scale.resolution or math.inf, self.batch * self.repeats


def settings(fidelities: Iterable[str | Fidelity], batches: Iterable[int], repeats: Iterable[int]) -> list[Setting]:
    """All settings that there are, the cheapest first; a fidelity that names a batch has no other.

    Raises `InputError` for none, or for one that is no setting.

    >>> [str(one) for one in settings(["full", "width=0.5,batch=8"], [16], [1])]
    ['width=0.5,batch=8, batch 8, 1 initialisation', 'full, batch 16, 1 initialisation']
    """
    scales = [one if isinstance(one, Fidelity) else Fidelity.parse(one) for one in fidelities]
    for name, counts in (("batches", batches := list(batches)), ("repeats", repeats := list(repeats))):
        if strange := [c for c in counts if not isinstance(c, int) or isinstance(c, bool) or c < 1]:
            raise InputError(f"{name} must be whole numbers from 1, but got {strange[0]!r}")
    found = {Setting(str(s), s.batch or b, r) for s in scales for b in batches for r in repeats}
    if not found:
        raise InputError("name at least one fidelity, one batch and one number of repeats")
    return sorted(found, key=lambda one: (one.cost, one))


def scored(
    texts: Sequence[str],
    space: SearchSpace,
    data: Any,
    proxies: Sequence[str | Proxy],
    wanted: Sequence[Setting],
    *,
    store: Store,
    seed: int = 0,
    workers: int = 1,
    device: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[Setting, pd.DataFrame]:
    """The scores under each setting, architectures by proxies, NaN where one failed; means over repeats.

    Parameters, FLOPs and depth are those of the full networks under every setting.

    Each fidelity and batch is scored once, from as many seeds as its most repeats, in the order of `wanted`.
    `progress` is called with "score", the number of networks scored and how many there are in all.

    Raises `InputError` when no network could be scored by any proxy that has to run it, with the reason.
    """
    seeds: dict[tuple[str, int], int] = {}
    for one in wanted:
        seeds[one.fidelity, one.batch] = max(one.repeats, seeds.get((one.fidelity, one.batch), 0))
    total, before = len(texts) * sum(seeds.values()), 0
    frames: dict[Setting, pd.DataFrame] = {}
    reasons: list[str] = []
    for (fidelity, batch), count in seeds.items():
        scale, each = Fidelity.parse(fidelity), range(seed, seed + count)
        job = Job(space, tuple(proxies), draw_job_batches(data, each, batch, 1, False, scale), scale, device)

        def told(done: int, _: int, start: int = before) -> None:
            if progress:
                progress("score", start + done, total)

        with Scorer(job, store=store, workers=workers) as scorer:
            found = scorer(texts, progress=told)
            names = list(scorer.identities)
        before += len(texts) * count
        reasons += [one.reason for scores in found.values() for one in scores.values() if one.reason]
        for one in wanted:
            if (one.fidelity, one.batch) == (fidelity, batch):
                rows = {t: averaged([found[t, s] for s in range(seed, seed + one.repeats)]) for t in texts}
                plain = {t: {n: v for n, v in row.items() if isinstance(v, float)} for t, row in rows.items()}
                frames[one] = pd.DataFrame.from_dict(plain, orient="index", columns=names, dtype=float)
    if all(frame.isna().all(axis=None) for frame in frames.values()):
        raise InputError(f"no network could be scored: {reasons[0]}")
    own = full_sizes(texts, space, data, seed, [name for name in PROXIES if name in names])
    return {one: frames[one].assign(**own) for one in wanted}


def full_sizes(
    texts: Sequence[str], space: SearchSpace, data: Any, seed: int, names: Sequence[str]
) -> dict[str, list[float]]:
    """The named sizes of the full networks, which a search means whatever it scores at; NaN where there is none."""
    if not names:
        return {}
    inputs, _ = draw_job_batches(data, [seed], 1, 1, False, FULL)[seed][0]
    known = size_costs(space, inputs)
    found: dict[str, list[float]] = {name: [] for name in names}
    for arch in map(space.parse, texts):
        for name in names:
            size = known[name](arch)
            found[name].append(math.nan if isinstance(size, Failure) else size)
    return found
