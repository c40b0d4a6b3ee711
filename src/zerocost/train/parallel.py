"""Runs in other processes, several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

from torch import nn

from zerocost.base.errors import Failure
from zerocost.base.workers import Workers
from zerocost.scoring.candidates import Builder
from zerocost.train.isolate import isolate_lightning
from zerocost.train.once import CallbackError, blaming_callbacks, train_once
from zerocost.train.run import Epoch, Run
from zerocost.train.settings import TrainingSetup
from zerocost.train.tracking import Tracking

_Candidates = Mapping[str, Builder | nn.Module]


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
    with closing(workers.pool(partial(_set_up, dict(candidates), sent)).answers(tasks)) as found:
        for (name, seed), answer in zip(tasks, found, strict=True):
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


def _set_up(candidates: _Candidates, setup: TrainingSetup) -> Callable[[str, int], tuple[Run, _Begun | None]]:
    """In a worker process: the function that trains the candidate of a name from a seed."""

    def train(name: str, seed: int) -> tuple[Run, _Begun | None]:
        notes = _Notes(None)
        try:
            with isolate_lightning(setup.device):
                run = train_once(name, candidates[name], seed, setup._replace(tracking=notes))
        except CallbackError as error:
            raise error.error from None
        return run, notes.begun

    return train


def _report_nothing(*_: object) -> None:
    """Progress that nobody sees."""
