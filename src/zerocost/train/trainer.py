"""Selective training: every candidate from every seed, each run independent of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.data import Dataset

from zerocost.base.errors import InputError
from zerocost.base.files import check_folder, make_folder
from zerocost.base.seeding import seeded
from zerocost.base.workers import Workers
from zerocost.data import Batch, load, split
from zerocost.data.as_batch import first_batch
from zerocost.data.balance import listed_targets
from zerocost.data.dataset import standardise_alike
from zerocost.engine.losses import Loss
from zerocost.engine.outputs import Output
from zerocost.scoring.candidates import Builder, as_builders
from zerocost.tasks import Task
from zerocost.tasks.task import as_task, task_name
from zerocost.train.batches import Batches
from zerocost.train.isolate import isolate_lightning
from zerocost.train.once import CallbackError, train_once
from zerocost.train.parallel import in_processes
from zerocost.train.run import Run, TrainingInterrupted
from zerocost.train.settings import (
    Progress,
    Stop,
    TrainingSettings,
    TrainingSetup,
    as_seeds,
    report_epochs,
    resolve_device,
)
from zerocost.train.tracking import MakeLogger, Tracking, as_tracking

Candidates = Mapping[str, Builder | nn.Module] | Sequence[Builder | nn.Module]


class HasCandidates(Protocol):
    """A table of candidates, such as a `ScoreTable`."""

    @property
    def candidates(self) -> Mapping[str, Builder]:
        """Builders by name."""


def train(
    candidates: Candidates | HasCandidates,
    *,
    train: Any,
    validation: Any = None,
    epochs: int = 10,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    seeds: Sequence[int] = (0,),
    patience: int | None = None,
    workdir: str | Path | None = None,
    device: str | torch.device | None = None,
    progress: Progress | bool | None = None,
    task: Task | str | None = None,
    loss: Loss | None = None,
    metric: Any = None,
    output: Output = None,
    stop: Stop | None = None,
    logger: Tracking | str | MakeLogger | None = None,
    workers: int | None = None,
    ray: str | None = None,
) -> list[Run]:
    """Train candidates, each from every seed, and return their runs in that order.

    A run starts from the weights that `zerocost.scoring.candidates.initialise` gives for its seed (a finished module is
    copied and left alone). It depends on nothing but candidate, seed, data and settings: on the CPU the metric is the
    same bit for bit whatever ran before. It uses AdamW, one cycle of the learning rate with its peak at
    `learning_rate`, and gradients clipped to norm 1, in the network's own dtype.

    A candidate that raises, diverges or runs out of memory does not stop the others: its run gives the reason in
    `failure` and keeps what was trained before.

    Args:
        candidates: as in `zerocost.rank`: builders or modules, by name or in a sequence; or a table with `.candidates`,
            such as `zerocost.rank` and `zerocost.select` return.
        train: training data as `zerocost.data.load` takes it, with targets.
        validation: validation data, likewise. Without it, a fifth of `train` is held out, stratified by class, the same
            for every run.
        epochs: number of epochs.
        batch_size: samples a step.
        learning_rate: its peak.
        seeds: the seeds that each candidate is trained from, all different.
        patience: stop a run after this many epochs without a better metric on the validation data.
        workdir: folder for results: `workdir/<candidate>/seed-<n>/` gets `last.ckpt`, `best.pt` (weights of the best
            epoch) and `run.json`. A second call reads finished runs and goes on with unfinished ones, to the same
            result as without a break. A run of other settings, data or network is trained anew, and a failed one is
            tried again from its last good epoch. Without `workdir`, nothing is written.
        device: "cpu", "cuda", "cuda:1" or "mps"; by default the accelerator if there is one, on Ray the CPU.
        progress: whether to show a bar; by default where stderr is a terminal. Or a function, called after every epoch
            with name, seed, epoch (from 1 on), epochs and the metric on the validation data. An exception that it
            raises ends the training.
        task: what the networks are trained for, a `zerocost.tasks.Task` or its name; by default inferred from
            the targets.
        loss: function of outputs and targets to the mean loss, in place of the task's.
        metric: what runs are compared by, in place of the task's: a name such as "accuracy" or "mean_absolute_error",
            or a metric of torchmetrics. Its direction counts wherever runs are compared.
        output: the tensor in what a network returns, as in `zerocost.score`.
        stop: called after every epoch with name, seed, epoch (from 1 on) and the metric on the validation data; where
            it returns true the run ends and is `stopped`, unless it was its last epoch anyway. The schedule of the
            learning rate is that of all `epochs`. A second call asks again about each epoch that it reads from
            `workdir`, until the answer is yes, so the same answers end a run at the same epoch. With no `stop`, or no
            yes among the answers, a stopped run goes on as if it had never been stopped. A run that was trained beyond
            the first yes is returned as it is. An exception that `stop` raises ends the training.
        logger: tracks each training as a run with its epochs, its settings and, of a table, the candidate's scores:
            "csv", "tensorboard", "mlflow" or "wandb", with a place after a colon: a folder, as in "csv:logs", an
            address of MLflow, as in "mlflow:sqlite:///mlflow.db", a project of wandb. Or a function of name and seed
            that returns a logger of Lightning. Runs that are read from `workdir` are not tracked again.
        workers: processes to train in, as many candidates at once, with one torch thread each. Where that of the caller
            has one as well, runs are the same bit for bit. `progress` and `logger` are told of a run when it has ended;
            `stop` is called in the processes. A run whose process dies, twice, has failed. By default one, or on
            several GPUs one for each; on Ray one for each CPU, or GPU, of the cluster.
        ray: train on a Ray cluster: "auto", its address or "local", as in `zerocost.rank`. A `workdir` is then a folder
            that all machines share. Needs the extra `ray`.

    Raises:
        InputError: no candidates, as in a table that was loaded from a file; arguments or data that cannot be used.
        zerocost.train.TrainingInterrupted: at Ctrl-C; a KeyboardInterrupt whose `.runs` are the finished runs.

    >>> from torch.utils.data import TensorDataset
    >>> inputs, labels = torch.randn(64, 8), torch.arange(64) % 2
    >>> data = TensorDataset(inputs + labels[:, None], labels)
    >>> [run] = train({"linear": lambda: nn.Linear(8, 2)}, train=data, epochs=2)
    >>> run.name, len(run.epochs), run.failure
    ('linear', 2, None)
    """
    by_name = candidates_by_name(candidates)
    seeds = as_seeds(seeds)
    if stop is not None and not callable(stop):
        raise InputError(f"stop must be a function of name, seed, epoch and metric, but got {stop!r}")
    parts = _load_data(train, validation, task_name(task))
    chosen = as_task(task, parts[0], _batch_or_none(parts[0]), loss=loss, metric=metric, output=output)
    chosen.check_differ(*map(listed_targets, parts))
    settings = TrainingSettings(epochs, batch_size, learning_rate, patience, chosen)
    check_folder(workdir)
    folder = None if workdir is None else Path(workdir)
    if folder is not None:
        make_folder(folder)
    with seeded(0):
        training, held_out = (Batches(part, batch_size, chosen) for part in parts)
    where = resolve_device(device) if ray is None else torch.device(device or "cpu")
    processes = Workers(workers, ray, where)
    runs: list[Run] = []
    try:
        with (
            isolate_lightning(where if processes.in_process else torch.device("cpu")),
            as_tracking(logger, candidates) as tracking,
            report_epochs(progress, len(by_name) * len(seeds) * epochs) as report,
        ):
            setup = TrainingSetup(settings, training, held_out, folder, where, report, stop, tracking)
            tasks = [(name, seed) for name in by_name for seed in seeds]
            found = (
                in_processes(by_name, tasks, setup, processes)
                if tasks and not processes.in_process
                else (train_once(name, by_name[name], seed, setup) for name, seed in tasks)
            )
            for run in found:
                runs.append(run)  # noqa: PERF402  those before Ctrl-C are kept
    except KeyboardInterrupt as error:
        raise TrainingInterrupted(runs) from error
    except CallbackError as error:
        raise error.error from None
    return runs


def candidates_by_name(candidates: Candidates | HasCandidates) -> Mapping[str, Builder | nn.Module]:
    """The candidates by name; `InputError` for none, or for one that is neither a builder nor a module."""
    given = getattr(candidates, "candidates", candidates)
    if given == {} and len(getattr(candidates, "frame", ())):
        raise InputError("a table that was loaded from a file has no builders to train; rank the candidates again")
    return as_builders(given)


def _load_data(train: Any, validation: Any, task: str | None) -> tuple[Dataset[Any], Dataset[Any]]:
    """Training and validation data; without validation data a stratified fifth is held out."""
    with seeded(0):
        training = load(train, task=task)
        if validation is None:
            return split(training, 0.2, seed=0)
        return standardise_alike(training, load(validation, task=task))


def _batch_or_none(data: Dataset[Any]) -> Batch | None:
    """A batch that shows what the targets are; None where the samples make none."""
    try:
        return first_batch(data)
    except InputError:
        return None  # what is wrong with the samples is said where they are used
