"""Selective training: every candidate from every seed, and no run harmed by another."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parameter import UninitializedParameter

from zerocost.base.errors import Failure, InputError, ZerocostError, describe_error
from zerocost.base.seeding import seeded
from zerocost.data import load, split
from zerocost.engine.network import is_out_of_memory
from zerocost.scoring.candidates import Builder, initialise
from zerocost.train.batches import Batches, describe, digest
from zerocost.train.folder import Folder, slug
from zerocost.train.isolate import isolated
from zerocost.train.run import Epoch, Run, TrainingInterrupted
from zerocost.train.settings import Loss, TrainingSettings, resolve_device

Candidates = Mapping[str, Builder | nn.Module]
Progress = Callable[[str, int, int, int, float], object]
Stop = Callable[[str, int, int, float], bool]


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
    progress: Progress | None = None,
    loss: Loss = cross_entropy,
    stop: Stop | None = None,
) -> list[Run]:
    """Train candidates for classification, each from every seed, and return their runs in that order.

    A run starts from the weights `zerocost.scoring.candidates.initialise` gives for its seed (a finished module is
    copied and left alone) and depends on nothing but candidate, seed, data and settings: on the CPU the accuracy is the
    same bit for bit whatever ran before. It uses AdamW, one cycle of the learning rate with its peak at
    `learning_rate`, and gradients clipped to norm 1, in the network's own dtype.

    A candidate that raises, diverges or runs out of memory does not stop the others: its run says why in `failure`
    and keeps what was trained before.

    Parameters
    ----------
    candidates
        Builders or modules by name, or a table with `.candidates`. Networks map a batch of inputs to N×classes.
    train, validation
        Data as `zerocost.data.load` takes them, with integer labels. Without `validation`, a stratified fifth of
        `train` is held out, the same for every run.
    patience
        Stop a run after this many epochs without a better validation accuracy.
    workdir
        Folder for results: `workdir/<candidate>/seed-<n>/` gets `last.ckpt`, `best.pt` (weights of the best epoch)
        and `run.json`. A second call reads finished runs and goes on with unfinished ones, to the same result as
        without a break; a run of other settings, data or network is done anew, and a failed one is tried
        again from its last good epoch. Without it, nothing is written.
    device
        "cpu", "cuda", "cuda:1", "mps"; by default the accelerator when there is one.
    progress
        Called after every epoch with name, seed, epoch (from 1 on), epochs and validation accuracy. What it raises
        ends the training.
    loss
        From outputs (N×classes) and labels (N, int64) to the mean loss.
    stop
        Asked after every epoch, with name, seed, epoch (from 1 on) and validation accuracy, whether to end the run
        there; the run is then `stopped`, unless it was its last epoch anyway. The schedule of the learning rate is
        that of all `epochs`. A second call asks again about the epochs that it reads from `workdir`, one by one until
        the answer is yes: the same answers end a run where it ended before. Where there is no `stop` or no yes among
        the answers, a stopped run goes on from where it was, as if it had never been stopped. A run that was
        trained further than to the first yes is returned as it is. What `stop` raises ends the training.

    Raises
    ------
    InputError
        For unusable arguments or data.
    Interrupted
        On Ctrl-C; a KeyboardInterrupt that carries the finished runs in `.runs`.

    >>> from torch.utils.data import TensorDataset
    >>> inputs, labels = torch.randn(64, 8), torch.arange(64) % 2
    >>> data = TensorDataset(inputs + labels[:, None], labels)
    >>> [run] = train({"linear": lambda: nn.Linear(8, 2)}, train=data, epochs=2)
    >>> run.name, len(run.epochs), run.failure
    ('linear', 2, None)
    """
    by_name = named(candidates)
    settings = TrainingSettings(epochs, batch_size, learning_rate, patience, loss)
    folder = None if workdir is None else _writable(Path(workdir))
    plan = _Plan(settings, *_data(train, validation, batch_size), folder, resolve_device(device), progress, stop)
    runs: list[Run] = []
    try:
        with isolated(plan.device):
            for name, candidate in by_name.items():
                for seed in seeds:
                    runs.append(_run(name, candidate, seed, plan))  # noqa: PERF401  those before Ctrl-C are kept
    except KeyboardInterrupt as error:
        raise TrainingInterrupted(runs) from error
    except _CallbackRaised as error:
        raise error.error from None
    return runs


class _Plan(NamedTuple):
    """What all runs of one call share."""

    settings: TrainingSettings
    train: Batches
    validation: Batches
    workdir: Path | None
    device: torch.device
    progress: Progress | None
    stop: Stop | None


class _CallbackRaised(BaseException):
    """Carries what `progress` or `stop` raised past the net that catches the candidates' errors."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _run(name: str, candidate: Builder | nn.Module, seed: int, plan: _Plan) -> Run:
    """One run: read where it is finished, gone on with where it was cut off, else trained from the start."""
    from zerocost.train.module import Training, fit, over

    def asked(epoch: Epoch) -> bool:
        try:
            return plan.stop is not None and bool(plan.stop(name, seed, epoch.epoch, epoch.validation_accuracy))
        except Exception as error:
            raise _CallbackRaised(error) from error

    def report(epoch: Epoch) -> bool:
        if plan.progress is not None:
            try:
                plan.progress(name, seed, epoch.epoch, plan.settings.epochs, epoch.validation_accuracy)
            except Exception as error:
                raise _CallbackRaised(error) from error
        return asked(epoch)

    epochs: list[Epoch] = []
    folder = failure = None
    stopped = False
    try:
        network = copy.deepcopy(initialise(candidate, seed)).train()
        if any(isinstance(parameter, UninitializedParameter) for parameter in network.parameters()):
            raise Failure("the network has lazy layers without weights yet; run it once on a batch in its builder")
        if plan.workdir is not None:
            folder = Folder(plan.workdir / slug(name) / f"seed-{seed}", _record(network, seed, plan))
            run = folder.finished()
            known = folder.unfinished() if run is None else list(run.epochs)
            stopped = any(map(asked, known))
            if run is not None and (stopped or not run.stopped):
                return run
            epochs = known if run is None else folder.unfinished()
            folder.go_on() if epochs else folder.clear()
        if not stopped:
            with seeded(seed, plan.device):
                training = Training(network, plan.train, plan.validation, plan.settings, seed, epochs, folder, report)
                fit(training, plan.device)
            stopped = training.stopped
        stopped = stopped and not over(epochs, plan.settings)
        if folder is not None:
            folder.save_result(Run.of(name, seed, epochs, folder.best, stopped=stopped))
    except Exception as error:  # noqa: BLE001  whatever a candidate raises is its own failure
        failure = _reason(error, plan.settings.batch_size)
    checkpoint = folder.best if folder is not None and epochs and folder.best.exists() else None
    return Run.of(name, seed, epochs, checkpoint, failure, stopped and failure is None)


def _record(network: nn.Module, seed: int, plan: _Plan) -> dict[str, Any]:
    """All that a run's result depends on, in plain types: a result on disk is used only where it is the same."""
    state = network.state_dict()
    return {
        **vars(plan.settings),
        "loss": describe(plan.settings.loss),
        "seed": seed,
        "train": plan.train.fingerprint,
        "validation": plan.validation.fingerprint,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "network": digest(describe(network), *state.keys(), *state.values()),
    }


def _reason(error: Exception, batch_size: int) -> str:
    """Why a run failed, in one line."""
    if isinstance(error, MemoryError) or is_out_of_memory(error):
        return f"out of memory at batch_size={batch_size}; try a smaller one"
    return str(error) if isinstance(error, ZerocostError) else describe_error(error)


def named(candidates: Candidates | HasCandidates) -> Mapping[str, Builder | nn.Module]:
    """The candidates by name, each seen to be a builder or a module."""
    by_name = candidates if isinstance(candidates, Mapping) else getattr(candidates, "candidates", None)
    if not isinstance(by_name, Mapping):
        raise InputError(
            f"candidates must be builders by name, or a table with `.candidates`, but got {type(candidates).__name__}"
        )
    for name, candidate in by_name.items():
        if not callable(candidate):
            raise InputError(
                f"candidate {name!r} must be a torch.nn.Module or a function that builds one, "
                f"but got {type(candidate).__name__}"
            )
    return by_name


def _data(train: Any, validation: Any, batch_size: int) -> tuple[Batches, Batches]:
    """Training and validation data in batches; a stratified fifth is held out where no validation data is given."""
    with seeded(0):
        parts = split(load(train), 0.2, seed=0) if validation is None else (load(train), load(validation))
        training, held_out = (Batches(part, batch_size) for part in parts)
    return training, held_out


def _writable(workdir: Path) -> Path:
    """The folder for results, made where it is missing."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"workdir {str(workdir)!r} cannot be made: {error.strerror}") from error
    return workdir
