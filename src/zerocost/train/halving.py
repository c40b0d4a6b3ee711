"""Successive halving: train all a little, the best of them longer, the best of those to the end."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

import torch

from zerocost.base.errors import InputError
from zerocost.base.whole import is_whole
from zerocost.engine.losses import Loss
from zerocost.engine.outputs import Output
from zerocost.tasks import Task
from zerocost.train import trainer
from zerocost.train.run import Run, TrainingInterrupted, best_epoch
from zerocost.train.settings import Progress, as_seeds, report_epochs
from zerocost.train.tracking import MakeLogger, Tracking, as_tracking


class _TrainOptions(TypedDict, total=False):
    """The settings of `train` that halving passes on."""

    train: Required[Any]
    validation: Any
    batch_size: int
    learning_rate: float
    patience: int | None
    device: str | torch.device | None
    progress: Progress | bool | None
    task: Task | str | None
    loss: Loss | None
    metric: Any
    output: Output
    logger: Tracking | str | MakeLogger | None
    workers: int | None
    ray: str | None


def halving(
    candidates: trainer.Candidates | trainer.HasCandidates,
    *,
    epochs: int = 10,
    seeds: Sequence[int] = (0,),
    reduction: int = 3,
    least: int = 1,
    workdir: str | Path | None = None,
    **settings: Unpack[_TrainOptions],
) -> list[Run]:
    """Train candidates by successive halving (Jamieson & Talwalkar, AISTATS 2016), and return their runs.

    All candidates are trained for `least` epochs. The best of them, one in `reduction`, go on to `reduction` times as
    many epochs, and so on until the last ones have all `epochs`. Candidates are compared only when all of them have
    been trained equally long (asynchronous halving, as of Optuna's pruner, promotes the first ones without a
    comparison when runs come one after the other). A run that goes on does so from its last checkpoint: it is the same,
    bit for bit on the CPU, as if it had been trained without a break, for the learning rate follows the schedule of all
    `epochs` from the start.

    Candidates are ordered by the mean over their seeds of the best value of the metric so far. Those that failed come
    last; ties keep the order of `candidates`.

    Args:
        candidates: as in `zerocost.train.train`.
        epochs: epochs of the candidates that are trained to the end.
        seeds: the seeds that each candidate is trained from.
        reduction: one candidate in this many goes on, rounded up, so at least one.
        least: epochs that every candidate is trained for.
        workdir: folder for results, as in `zerocost.train.train`. After a break the same call goes on where it was, to
            the same result. Without it a temporary folder is used, and runs have no checkpoint.
        settings: other settings of `zerocost.train.train`: `train`, which is required, `validation`, `batch_size`,
            `learning_rate`, `patience`, `device`, `progress`, `task`, `loss`, `metric`, `output`, `logger`,
            `workers` and `ray`.

    Returns:
        A run for each candidate and seed, in that order; those that were not trained to the end are `stopped`.

    Raises:
        InputError: `reduction` below 2, `least` not from 1 to `epochs`, and what `zerocost.train.train` refuses.
        zerocost.train.TrainingInterrupted: at Ctrl-C; its `.runs` are the runs as far as they were trained.

    >>> import torch
    >>> from torch import nn
    >>> from torch.utils.data import TensorDataset
    >>> labels = torch.arange(64) % 2
    >>> data = TensorDataset(torch.randn(64, 8) + 3 * labels[:, None], labels)
    >>> networks = {"blind": lambda: nn.Sequential(nn.Dropout(1.0), nn.Linear(8, 2)), "sees": lambda: nn.Linear(8, 2)}
    >>> runs = halving(networks, train=data, epochs=4, reduction=2, learning_rate=0.1)
    >>> [(run.name, len(run.epochs), run.stopped) for run in runs]
    [('blind', 1, True), ('sees', 4, False)]
    """
    seeds, steps = as_seeds(seeds), _rungs(least, epochs, reduction)
    by_name = trainer.candidates_by_name(candidates)
    alive = list(by_name)
    runs: dict[tuple[str, int], Run] = {}
    with ExitStack() as stack:
        total = len(seeds) * _epochs_of_all(steps, len(by_name), reduction)
        settings["progress"] = stack.enter_context(report_epochs(settings.get("progress"), total))
        settings["logger"] = stack.enter_context(as_tracking(settings.get("logger"), candidates))
        folder = workdir or stack.enter_context(tempfile.TemporaryDirectory(prefix="zerocost-halving-"))
        try:
            for step in steps:
                done = trainer.train(
                    {name: by_name[name] for name in alive},
                    epochs=epochs,
                    seeds=seeds,
                    workdir=folder,
                    stop=partial(_has_reached, step),
                    **settings,
                )
                runs |= {(run.name, run.seed): run for run in done}
                alive = _best_first(alive, done, step)[: math.ceil(len(alive) / reduction)]
        except TrainingInterrupted as error:
            runs |= {(run.name, run.seed): run for run in error.runs}
            raise TrainingInterrupted(_drop_temporary_checkpoints(runs, workdir)) from error
    ordered = {(name, seed): runs[name, seed] for name in by_name for seed in seeds}
    return _drop_temporary_checkpoints(ordered, workdir)


def _rungs(least: int, epochs: int, reduction: int) -> list[int]:
    """The numbers of epochs after which candidates are compared; the last is all epochs.

    >>> _rungs(1, 20, 3), _rungs(4, 4, 2)
    ([1, 3, 9, 20], [4])
    """
    if not is_whole(reduction, 2):
        raise InputError(f"reduction must be a whole number from 2 on, but got {reduction!r}")
    if not is_whole(least) or not is_whole(epochs, least):
        raise InputError(f"least must be a whole number from 1 to epochs ({epochs!r}), but got {least!r}")
    steps = []
    while least < epochs:
        steps.append(least)
        least *= reduction
    return [*steps, epochs]


def _epochs_of_all(steps: Sequence[int], count: int, reduction: int) -> int:
    """The epochs that `count` candidates are trained for altogether, from one seed.

    >>> _epochs_of_all([1, 3, 9], 9, 3)
    21
    """
    total = 0
    for before, step in zip([0, *steps], steps, strict=False):
        total += count * (step - before)
        count = math.ceil(count / reduction)
    return total


def _has_reached(step: int, _name: str, _seed: int, epoch: int, _metric: float) -> bool:
    """Whether a run has been trained for the epochs of a rung."""
    return epoch >= step


def _best_first(names: Sequence[str], runs: Sequence[Run], step: int) -> list[str]:
    """The candidates, best first, by the metric of their runs after `step` epochs."""

    def goodness(name: str) -> float:
        own = [run for run in runs if run.name == name]
        if not own or any(not run.epochs or (run.failure is not None and len(run.epochs) < step) for run in own):
            return -math.inf
        best = [best_epoch(run.epochs[:step], run.higher_is_better).validation_metric for run in own]
        return sum(best) / len(own) * (1 if own[0].higher_is_better else -1)

    return sorted(names, key=goodness, reverse=True)


def _drop_temporary_checkpoints(runs: dict[tuple[str, int], Run], workdir: str | Path | None) -> list[Run]:
    """The runs, without the checkpoints of a temporary folder."""
    return [run if workdir else replace(run, checkpoint=None) for run in runs.values()]
