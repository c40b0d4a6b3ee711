"""Fidelities, and parts of a combination, in a race: scored from the cheapest up, each on no more networks than decide
whether it agrees."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from zerocost.base.errors import Failure, InputError
from zerocost.combine import Combination
from zerocost.data import draw
from zerocost.engine.proxy import Proxy
from zerocost.proxies.registry import resolve
from zerocost.run import Job, Scorer, draw_job_batches
from zerocost.search.sizes import SIZE_PROXIES, size_costs
from zerocost.spaces import FULL, Fidelity, SearchSpace
from zerocost.statistics.kendall_interval import kendall_interval
from zerocost.statistics.ranking import Values, kendall
from zerocost.store import Store
from zerocost.tasks import Task
from zerocost.tuning.part_sets import PartSet
from zerocost.tuning.scores import mean_frame

PROBES = 3
"""Networks on which costs are counted and timed."""
_LAYER = 1e7
"""Multiply-adds that take as long as what a parameter tensor costs whatever its size; `bench/growth.py` measures it."""
_FIRST, _MORE = 16, 1.5
"""Networks that a fidelity is first judged by, and by how many times as many after that."""
_SMALLEST = 8
"""Pixels a side, and samples, below which no fidelity goes by default."""


@dataclass(frozen=True)
class Agreement:
    """How well the ranking of some parts at a fidelity agrees with that of all at full size, on some networks.

    Attributes:
        fidelity: the fidelity.
        proxies: the parts.
        networks: how many.
        kendall: Kendall's τ of the two rankings; NaN where there is none.
        low: lower end of its 95 % interval.
        high: upper end of it.
    """

    fidelity: Fidelity
    proxies: list[str]
    networks: int
    kendall: float
    low: float
    high: float


@dataclass(frozen=True)
class Runner:
    """Scores networks at any fidelity.

    Attributes:
        space: the architectures' space.
        data: what batches are drawn from.
        combination: what ranks at full size.
        sets: what may rank in its place.
        proxies: every proxy of these, as jobs take it, by name.
        task: what the networks' outputs are for.
        samples: in the batch at full size.
        store: keeps the scores.
        device: where networks are scored.
        workers: processes that score full networks.
        ray: the Ray cluster that scores full networks.
        seed: the first seed.
    """

    space: SearchSpace
    data: Any
    combination: Combination
    sets: Sequence[PartSet]
    proxies: Mapping[str, str | Proxy]
    task: Task
    samples: int
    store: Store
    device: str | None
    workers: int | None
    ray: str | None
    seed: int
    sizes: dict[str, dict[str, float]] = field(default_factory=dict)

    def job(self, fidelity: Fidelity, names: Iterable[str]) -> Job:
        """What is scored at a fidelity."""
        seeds = range(self.seed, self.seed + (fidelity.repeats or self.combination.repeats or 1))
        batches = draw_job_batches(self.data, seeds, self.samples, 1, False, fidelity)
        given = tuple(self.proxies.get(name, name) for name in names)
        return Job(self.space, given, batches, fidelity, self.device, self.task)

    @contextmanager
    def scoring(self, fidelity: Fidelity) -> Iterator[_Scoring]:
        """What scores architectures at a fidelity: at full size by the combination, else in this process by all that
        may rank in its place."""
        workers, ray = (self.workers, self.ray) if fidelity == FULL else (1, None)
        names = self.combination.proxies if fidelity == FULL else list(self.proxies)
        with Scorer(self.job(fidelity, names), store=self.store, workers=workers, ray=ray) as scorer:
            yield _Scoring(self, scorer)

    def seconds(self, fidelity: Fidelity, texts: Sequence[str], names: Sequence[str]) -> float:
        """The process's CPU seconds that scoring takes there, whatever the store knows already; the less of two times,
        as other work on the machine only adds to them."""
        spent = []
        for _ in range(2):
            with Store(None) as empty, Scorer(self.job(fidelity, names), store=empty) as scorer:
                start = time.process_time()
                scorer(texts)
                spent.append(time.process_time() - start)
        return min(spent)

    def counted_costs(self, fidelities: Sequence[Fidelity], texts: Sequence[str]) -> dict[Fidelity, float]:
        """For each fidelity at which networks run, what a pass costs: multiply-adds and what layers add, always
        the same."""
        passes: dict[Fidelity, tuple[float, float]] = {}
        found = {}
        for one in fidelities:
            network = replace(one, batch=1, repeats=1)
            if network not in passes:
                passes[network] = self._count(network, texts)
            multiply_adds, layers = passes[network]
            times = one.repeats or self.combination.repeats or 1
            found[one] = times * ((one.batch or self.samples) * multiply_adds + _LAYER * layers)
        return {one: cost for one, cost in found.items() if math.isfinite(cost)}

    def _count(self, fidelity: Fidelity, texts: Sequence[str]) -> tuple[float, float]:
        """The mean multiply-adds of a sample and parameter tensors of the networks; NaN where none runs."""
        names = ("flops", "layer_count")
        try:
            job = self.job(fidelity, names)
        except InputError:  # pixels of what is no image
            return math.nan, math.nan
        proxies = resolve(names)
        each = [job.score(proxies, (text, self.seed), frozenset(p.name for p in proxies)) for text in texts]
        known = [(a.value, b.value) for a, b in ((s["flops"], s["layer_count"]) for s in each)]
        counted = [(a, b) for a, b in known if a is not None and b is not None]
        return (fmean(a for a, _ in counted), fmean(b for _, b in counted)) if counted else (math.nan, math.nan)

    def full_sizes(self, texts: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
        """The named sizes of the full networks, NaN where there is none: a search limits these at any fidelity."""
        known = size_costs(self.space, draw(self.data, 1, seed=self.seed).inputs, self.task.output)
        for text in texts:
            if text not in self.sizes:
                found = {name: known[name](self.space.parse(text)) for name in names}
                self.sizes[text] = {n: math.nan if isinstance(v, Failure) else v for n, v in found.items()}
        return pd.DataFrame.from_dict({text: self.sizes[text] for text in texts}, orient="index", columns=list(names))


@dataclass(frozen=True)
class _Scoring:
    """The scores of networks at one fidelity."""

    runner: Runner
    scorer: Scorer

    def ranks(self, texts: Sequence[str]) -> Values:
        """The combined score of each, among these; −∞ for a network that nothing could score."""
        return _combined(self.runner.combination, self.scores(texts))

    def scores(self, texts: Sequence[str]) -> pd.DataFrame:
        """A row an architecture, a column a proxy, NaN where it failed; sizes are those of the full networks."""
        names = list(self.scorer.identities)
        frame = mean_frame(self.scorer(texts), texts, list(self.scorer.fingerprints), names)
        sizes = [name for name in names if name in SIZE_PROXIES]
        if sizes:
            frame = frame.assign(**self.runner.full_sizes(texts, sizes))
        return frame


def grid(runner: Runner) -> list[Fidelity]:
    """The fidelities that are tried by default: widths, depths, pixels, batches and repeats, without full size."""
    inputs, _ = draw_job_batches(runner.data, [runner.seed], 1, 1, False, FULL)[runner.seed][0]
    side = inputs.shape[-1] if isinstance(inputs, Tensor) and inputs.ndim == 4 and inputs.is_floating_point() else 0
    pixels = [None, *(side // part for part in (2, 4) if side // part >= _SMALLEST)]
    batches = [None, *([runner.samples // 4] if runner.samples // 4 >= _SMALLEST else [])]
    every = product((1.0, 0.5, 0.25), (1.0, 0.5, 0.2), pixels, batches, (None, 3))
    return [one for one in (Fidelity(*each) for each in every) if one != FULL]


def cheapest_first(runner: Runner, fidelities: Sequence[Fidelity], texts: Sequence[str]) -> dict[Fidelity, float]:
    """Those that can be scored and cost less than full size, by counted cost; of equal networks one is enough."""
    costs = runner.counted_costs([FULL, *fidelities], texts[:PROBES])
    if FULL not in costs:
        names = ["flops", "layer_count"]
        card = runner.job(FULL, names).score(resolve(names), (texts[0], runner.seed), frozenset(names))
        reason = next((one.reason for one in card.values() if one.reason), "its multiply-adds are not known")
        raise InputError(
            f"no network runs at full size, so that there is nothing to agree with; of {texts[0]}: {reason}"
        )
    counted: dict[float, Fidelity] = {}
    for one, cost in costs.items():
        if cost < costs[FULL]:
            counted.setdefault(cost, one)
    return {counted[cost]: cost for cost in sorted(counted)}


def race(
    runner: Runner, ordered: Mapping[Fidelity, float], texts: Sequence[str], wanted: float, interval: float
) -> Iterator[tuple[PartSet, Agreement, bool]]:
    """How well which set agrees at each fidelity, one after the other, and whether it is the cheapest so far that does;
    until no other can be cheaper."""
    cheapest, fewest = math.inf, min(one.passes for one in runner.sets)
    with runner.scoring(FULL) as full:
        for one, cost in ordered.items():
            if cost * fewest >= cheapest:
                return
            with runner.scoring(one) as reduced:
                parts, found = _best_set(full, reduced, runner.sets, one, texts, (wanted, interval))
            needed = cost * parts.passes
            chosen = found.low >= wanted and needed < cheapest
            cheapest = needed if chosen else cheapest
            yield parts, found, chosen


def hold_out(
    runner: Runner, fidelity: Fidelity, parts: PartSet, texts: Sequence[str], interval: float
) -> tuple[Agreement, dict[str, float]]:
    """How well parts at a fidelity agree on networks that they were not chosen on, without those that failed for all of
    them, and Kendall's τ of each proxy with itself there."""
    with runner.scoring(FULL) as full, runner.scoring(fidelity) as reduced:
        _, found = _best_set(full, reduced, [parts], fidelity, texts, (-1.0, interval))
        large, small = (one.scores(texts[: found.networks]) for one in (full, reduced))
    known = [name for name in found.proxies if small[name].notna().any()]
    large, small = large.fillna(-np.inf), small.fillna(-np.inf)
    itself = {str(name): float(kendall(small[name].to_numpy(), large[name].to_numpy())) for name in large}
    return replace(found, proxies=known), itself


def _best_set(
    full: _Scoring,
    reduced: _Scoring,
    sets: Sequence[PartSet],
    fidelity: Fidelity,
    texts: Sequence[str],
    until: tuple[float, float],
) -> tuple[PartSet, Agreement]:
    """The set of fewest passes whose whole interval reaches the wanted τ, or else the set that agrees best, and its
    agreement: on the first networks, more and more of them, until the intervals are narrow enough or lie below the
    wanted τ. A few networks can refuse a set, but not choose one."""
    wanted, interval = until
    n = min(_FIRST, len(texts))
    while True:
        target, frame = full.ranks(texts[:n]), reduced.scores(texts[:n])
        found = [(one, _agreement(one.combination, frame, target, fidelity)) for one in sets]
        sets = [one for one, agreed in found if agreed.high >= wanted]
        wide = [agreed for _, agreed in found if agreed.high >= wanted and agreed.high - agreed.low > interval]
        if not wide or n == len(texts):
            break
        n = min(len(texts), math.ceil(_MORE * n))
    reaching = [(one, agreed) for one, agreed in found if agreed.low >= wanted]
    if reaching:
        return min(reaching, key=lambda pair: (pair[0].passes, -pair[1].kendall))
    return max(found, key=lambda pair: (math.isfinite(pair[1].kendall), pair[1].kendall))


def _agreement(combination: Combination, frame: pd.DataFrame, target: Values, fidelity: Fidelity) -> Agreement:
    tau = float(kendall(_combined(combination, frame), target))
    low, high = kendall_interval(tau, len(frame)) if math.isfinite(tau) else (math.nan, math.nan)
    return Agreement(fidelity, combination.proxies, len(frame), tau, low, high)


def _combined(combination: Combination, frame: pd.DataFrame) -> Values:
    return np.asarray(combination(frame), dtype=np.float64)
