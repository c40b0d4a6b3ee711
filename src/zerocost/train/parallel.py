"""Runs in other processes, several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

from torch import nn

from zerocost.base.errors import Failure
from zerocost.base.pool import Pool
from zerocost.base.worker import Function, load
from zerocost.base.workers import Workers
from zerocost.scoring.candidates import Builder
from zerocost.train.isolate import isolate_lightning
from zerocost.train.once import CallbackError, blaming_callbacks, train_once
from zerocost.train.run import Epoch, Run
from zerocost.train.settings import TrainingSetup
from zerocost.train.tracking import Tracking

_Candidates = Mapping[str, Builder | nn.Module]
_KEPT: ContextVar[list[tuple[Workers, TrainingSetup, Pool]] | None] = ContextVar("kept", default=None)


class _Begun(NamedTuple):
    """What a tracker is told at the beginning of a run."""

    settings: Mapping[str, Any]
    epochs: list[Epoch]
    metric: str


class _Notes(Tracking):
    """Notes what a tracker would be told, for the main process."""

    begun: _Begun | None = None

    def start(self, name: str, seed: int, settings: Mapping[str, Any], epochs: Sequence[Epoch], metric: str) -> None:
        """Note that a run begins."""
        self.begun = _Begun(settings, list(epochs), metric)


def in_processes(
    candidates: _Candidates, tasks: Sequence[tuple[str, int]], setup: TrainingSetup, workers: Workers
) -> Iterator[Run]:
    """The runs of these names and seeds, in their order; one fails whose worker process died, twice.

    Progress and tracker are told of each run when it is given.

    Raises:
        InputError: the candidates, the data or the task cannot be sent to other processes.
    """
    sent = setup._replace(progress=_report_nothing, tracking=Tracking(None))
    task = setup.settings.task
    calls = ((name, seed, Function.of(partial(_as_it_is, candidates[name]))) for name, seed in tasks)
    with _pool(workers, sent) as pool:
        for (name, seed), answer in zip(tasks, pool.each(calls), strict=True):
            if isinstance(answer, Failure):
                failed = {"failure": str(answer), "metric_name": task.metric_name}
                yield Run.of(name, seed, [], None, **failed, higher_is_better=task.higher_is_better)
                continue
            run, begun = answer
            with blaming_callbacks():
                _report(run, begun, setup)
            yield run


def _report(run: Run, begun: _Begun | None, setup: TrainingSetup) -> None:
    """Tell progress and tracker of a run; of one that was read from disk there is nothing to tell."""
    if begun is not None:
        setup.tracking.start(run.name, run.seed, begun.settings, begun.epochs, begun.metric)
        for epoch in run.epochs[len(begun.epochs) :]:
            setup.tracking.log(run.name, run.seed, epoch, begun.metric)
            setup.progress(run.name, run.seed, epoch.epoch, setup.settings.epochs, epoch.validation_metric)
    setup.tracking.end(run)


@contextmanager
def kept_processes() -> Iterator[None]:
    """Inside the block, processes go on from one training to the next one on the same data with the same settings."""
    kept: list[tuple[Workers, TrainingSetup, Pool]] = []
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)
        for *_, pool in kept:
            pool.close()


@contextmanager
def _pool(workers: Workers, setup: TrainingSetup) -> Iterator[Pool]:
    """Processes that train, those before where they are kept."""
    kept = _KEPT.get()
    if kept is None:
        with closing(workers.pool(partial(_set_up, setup))) as pool:
            yield pool
        return
    for other, before, pool in kept:
        if other == workers and _alike(before, setup):
            yield pool
            return
    kept.append((workers, setup, workers.pool(partial(_set_up, setup))))
    yield kept[-1][-1]


def _alike(one: TrainingSetup, other: TrainingSetup) -> bool:
    """Whether the runs of two calls share everything."""

    def told(setup: TrainingSetup) -> tuple[Any, ...]:
        data = setup.train.fingerprint, setup.validation.fingerprint
        return *data, setup.settings, setup.workdir, setup.device, setup.stop

    return told(one) == told(other)


def _as_it_is(candidate: Builder | nn.Module) -> Builder | nn.Module:
    return candidate


def _set_up(setup: TrainingSetup) -> Callable[[str, int, Function], tuple[Run, _Begun | None]]:
    """In a worker process: the function that trains a candidate from a seed."""

    def train(name: str, seed: int, candidate: Function) -> tuple[Run, _Begun | None]:
        notes = _Notes(None)
        try:
            with isolate_lightning(setup.device):
                run = train_once(name, load(candidate), seed, setup._replace(tracking=notes))
        except CallbackError as error:
            raise error.error from None
        return run, notes.begun

    return train


def _report_nothing(*_: object) -> None:
    """Progress that nobody sees."""
