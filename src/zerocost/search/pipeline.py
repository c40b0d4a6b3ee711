"""The whole way: choose a space, initialise many architectures, score them, filter, train only the survivors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zerocost import data as data_
from zerocost.base.device import check_device
from zerocost.base.errors import InputError, unknown
from zerocost.benchmarks.base import Benchmark
from zerocost.combine import Combination, as_combination, default
from zerocost.engine.proxy import Proxy
from zerocost.search.accuracy import DataSplit
from zerocost.search.costs import Accuracy
from zerocost.search.limits import Limit
from zerocost.search.objectives import ACCURACY, SCORE, objective_names
from zerocost.search.result import SearchInterrupted, SearchResult, Stage
from zerocost.spaces import FULL, Fidelity, SearchSpace
from zerocost.store import Store

__all__ = ["Pipeline", "SearchInterrupted", "SearchResult", "Stage", "search"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pipeline:
    """A search, written down: what is searched, how, what for, and what happens with the best.

    `run(data)` holds a fifth of the data out for validation, stratified; scores never see it. The strategy proposes
    architectures until `candidates` of them were judged, twins once; those over a limit are refused before anything of
    them is scored. The best are scored again at each further fidelity, those that pass `where` are kept, and the best
    `keep` of them are trained, beside as many architectures drawn at random: the difference is what the search bought.

    Args:
        space: a `SearchSpace`, the name of one ("cnn"), or a plain function of choices (see `spaces.from_function`).
        strategy: a name (see `search.strategies.names`) or an Optuna sampler.
        candidates: number of architectures to judge; all of a smaller space.
        proxies: names of the proxies that "score" combines, by the log-rank sum within all that was judged; or a
            `zerocost.combine.Combination`, or the .json file of one. Its settings hold where none are given here.
        objectives: what is wanted: "score", "accuracy", a proxy, or a size or latency, of which less is better. Of
            several, architectures are ranked by fronts, the least crowded first.
        where: conditions, as in `select`: "params < 2e6 and latency < 5 and snip > 0". Those on sizes, latencies and
            looked-up numbers alone are limits; proxies named in the others are scored too, but not ranked by.
        limits: a function of your own or several, from an `Architecture` to whether it is allowed, or why not.
        hardware: a benchmark whose untrained numbers, such as `raspi4_latency`, can be named like sizes.
        accuracy: what the objective "accuracy" is: a benchmark to look it up in, or a function of an `Architecture`. If
            None, networks are trained for `epochs`, and it is their validation accuracy.
        warmup, moves: for "accuracy" with strategies that can be guided: the scores choose the start among `warmup`
            random architectures, and each proposal among `moves` (Abdelfattah et al., ICLR 2021).
        trials, seconds, patience: stop after so many proposals of any kind, so much time, or so many judged
            architectures in a row that left the front as it was.
        fidelity: the fidelity to score at, full size if None; of several, as in "width=0.5,resolution=16 > full", the
            best one in `reduction` are scored again at the next one.
        reduction: see `fidelity`.
        keep: number of survivors.
        epochs: epochs of training; 0 stops after the filter.
        training_seeds: trainings of each survivor, with seeds 0, 1, ….
        halving: train by successive halving: all a little, the best third three times as long, and so on.
        batch: samples in the scoring batch, 64 if None.
        repeats: from how many initialisations, each on a batch of its own, scores are means; 1 if None.
        seed: draws the split, the architectures, the batch and the random picks, and initialises the networks.
        device: where to score, measure latency and train.
        workers: processes to score in; the result does not depend on it.

    Raises:
        InputError: a setting out of range.

    >>> def net(choose):
    ...     width = choose.int("width", 2, 16, step=2)
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))
    >>> short = {"candidates": 6, "keep": 2, "epochs": 1}
    >>> found = Pipeline(net, strategy="evolution", proxies="snip", where="params < 3e3", **short).run("digits:8")
    >>> len(found.table), len(found.kept), len(found.survivors), len(found.random)
    (6, 2, 2, 2)
    """

    space: SearchSpace | str | Callable[..., nn.Module]
    strategy: Any = "random"
    candidates: int = 200
    proxies: Combination | Iterable[str | Proxy] | str = default
    objectives: Iterable[str] | str = (SCORE,)
    where: str | None = None
    limits: Limit | Sequence[Limit] = ()
    hardware: Benchmark | None = None
    accuracy: Accuracy | None = None
    warmup: int = 0
    moves: int = 1
    trials: int | None = None
    seconds: float | None = None
    patience: int | None = None
    fidelity: Fidelity | str | Sequence[Fidelity | str] | None = None
    reduction: int = 4
    keep: int = 5
    epochs: int = 8
    training_seeds: int = 1
    halving: bool = False
    batch: int | None = None
    repeats: int | None = None
    seed: int = 0
    device: str | torch.device | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        least = {"candidates": 1, "keep": 1, "epochs": 0, "training_seeds": 1, "workers": 1, "reduction": 2}
        least |= {"seed": 0, "warmup": 0, "moves": 1}
        least |= {name: 1 for name in ("trials", "patience", "batch", "repeats") if getattr(self, name) is not None}
        for name, bound in least.items():
            value = getattr(self, name)
            if not isinstance(value, int):
                raise InputError(f"{name} must be a whole number, but got {value!r}")
            if value < bound:
                raise InputError(f"{name} must be at least {bound}, but got {value}")
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"seconds must be above 0, but got {self.seconds!r}")
        if self.hardware is not None and not isinstance(self.hardware, Benchmark):
            raise InputError(f"hardware must be what benchmarks.get returns, but got {self.hardware!r}")
        names, trained = objective_names(self.objectives), self.accuracy is None
        if not names:
            raise InputError(f"objectives must name what is wanted, such as {SCORE!r}, but got {self.objectives!r}")
        if (self.warmup or self.moves > 1) and ACCURACY not in names:
            raise InputError(f"warmup and moves are for the objective {ACCURACY!r}; without it scores need no guide")
        if ACCURACY in names and trained and not self.epochs:
            raise InputError("objective 'accuracy' needs epochs >= 1 to train, or a table to look it up in")
        if not self.fidelities:
            raise InputError("fidelity must be one Fidelity or several, but got an empty sequence")

    @cached_property
    def combination(self) -> Combination:
        """What "score" is."""
        return as_combination(self.proxies)

    @property
    def plain(self) -> bool:
        """Whether "score" is a log-rank sum of equal weights, which the names of the proxies tell all about."""
        combination = self.combination
        return combination.equal and combination.method == "log_rank" and combination.reference is None

    @property
    def samples(self) -> int:
        """Samples in the scoring batch, at a fidelity that does not say."""
        return self.batch or self.combination.batch or 64

    @property
    def repetitions(self) -> int:
        """From how many initialisations scores are means."""
        return self.repeats or self.combination.repeats or 1

    @property
    def conditions(self) -> str | None:
        """The conditions of the search and those of its combination."""
        return self.combination.conditions(self.where)

    @property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """From the cheapest to the one that decides."""
        given = self.combination.fidelity or FULL if self.fidelity is None else self.fidelity
        if isinstance(given, Fidelity):
            return (given,)
        parts = given.split(">") if isinstance(given, str) else given
        return tuple(part if isinstance(part, Fidelity) else Fidelity.parse(part.strip()) for part in parts)

    def run(
        self,
        data: Any,
        *,
        store: str | Path | None = None,
        study_storage: str | None = None,
        workdir: str | Path | None = None,
        progress: Progress | None = None,
    ) -> SearchResult:
        """Search and train; the same settings and data give the same result.

        Args:
            data: anything `zerocost.data.load` takes, with class labels.
            store: a file, or the URL of a database, to keep scores in: after a break the same call goes on from there,
                and nothing that anybody scored there is scored again. None keeps them in memory.
            study_storage: URL of a database for Optuna's study, for its dashboard, and for several processes or
                machines that search together: each is given the same settings, store and storage. What they find
                depends on who was faster; without it, on the seed alone.
            workdir: folder in which trainings are kept, to go on after a break; None keeps nothing.
            progress: called with the stage ("score", "train"), the number of steps done and the total.

        Returns:
            A `SearchResult`; nothing was trained when no architecture passes.

        Raises:
            InputError: settings or data that cannot be used.
            SearchInterrupted: at Ctrl-C, with what was done.
        """
        from zerocost.search.fit_space import fit_space
        from zerocost.search.plan import SearchPlan
        from zerocost.search.stages import searched
        from zerocost.search.training import train_both

        check_device(self.device)
        fitting, validation = data_.split(data_.load(data), 0.2, seed=self.seed)
        held = DataSplit(fitting, validation, workdir)
        with ExitStack() as stack:
            opened = stack.enter_context(Store(store))
            space, sizes = fit_space(self.space, fitting)
            plan = SearchPlan.of(self, space, held, opened, stack)
            settings = plan.settings(self) | {"data": data if isinstance(data, str) else type(data).__name__}
            try:
                result = searched(self, plan, study_storage, progress)
            except SearchInterrupted as stop:
                stop.result.settings = settings
                raise
            result.settings, result.sizes, result.sample = settings, sizes, plan.sample
            if self.epochs and len(result.kept):
                train_both(self, plan, result, held, progress)
        return result


def search(
    space: SearchSpace | str | Callable[..., nn.Module],
    data: Any,
    *,
    store: str | Path | None = None,
    study_storage: str | None = None,
    workdir: str | Path | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> SearchResult:
    """Search a space without training, then train only the survivors: `Pipeline(space, **settings).run(data, …)`.

    `settings` are those of `Pipeline`, the rest is as in `Pipeline.run`, and so are result and errors; a setting that
    does not exist is an `InputError`.

    >>> def net(choose):
    ...     width = choose.int("width", 2, 16, step=2)
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))
    >>> found = search(net, "digits:8", candidates=6, proxies="snip", keep=2, epochs=0)
    >>> len(found.table), list(found.kept.frame.index) == list(found.table.frame.index)[:2]
    (6, True)
    """
    known = [field.name for field in fields(Pipeline)]
    for name in settings:
        if name not in known:
            raise unknown("setting", name, known)
    pipeline = Pipeline(space, **settings)
    return pipeline.run(data, store=store, study_storage=study_storage, workdir=workdir, progress=progress)
