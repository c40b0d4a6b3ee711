"""One run: one candidate trained from one seed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from zerocost.base.errors import Failure, ZerocostError, describe_error
from zerocost.base.identity import attributes, identity
from zerocost.base.seeding import seeded
from zerocost.engine.failures import is_out_of_memory
from zerocost.engine.model.lazy import has_lazy_layers, materialised
from zerocost.scoring.adapters import find_adapter
from zerocost.scoring.candidates import Builder, initialise
from zerocost.train.folder import RunFolder, folder_name
from zerocost.train.run import Epoch, Run
from zerocost.train.settings import TrainingSettings, TrainingSetup


class CallbackError(BaseException):
    """Carries what `progress` or `stop` raised past the code that catches the candidates' errors."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def train_once(name: str, candidate: Builder | nn.Module, seed: int, setup: TrainingSetup) -> Run:
    """One run: read if it is finished, continued if it was interrupted, else trained from the start."""
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    from zerocost.train.module import TrainingModule, fit, is_over

    def ends(epoch: Epoch) -> bool:
        with blaming_callbacks():
            return setup.stop is not None and bool(setup.stop(name, seed, epoch.epoch, epoch.validation_metric))

    def report(epoch: Epoch) -> bool:
        with blaming_callbacks():
            setup.tracking.log(name, seed, epoch, task.metric_name)
            setup.progress(name, seed, epoch.epoch, setup.settings.epochs, epoch.validation_metric)
        return ends(epoch)

    task = setup.settings.task
    measured = {"metric_name": task.metric_name, "higher_is_better": task.higher_is_better}
    epochs: list[Epoch] = []
    folder = failure = None
    stopped = False
    try:
        network = initialise(candidate, seed)
        if find_adapter(network) is not None:
            kind = type(network).__module__.partition(".")[0]
            raise Failure(f"a model of {kind} is scored here, not trained; train it with {kind}")
        if has_lazy_layers(network):
            network = materialised(network, setup.train.take(torch.arange(min(2, setup.train.count)))[0], seed)
        network = copy.deepcopy(network).train()
        if setup.workdir is not None:
            folder = RunFolder(setup.workdir / folder_name(name) / f"seed-{seed}", _describe_run(network, seed, setup))
            run = folder.finished_run()
            known = folder.saved_epochs() if run is None else list(run.epochs)
            stopped = any(map(ends, known))
            if run is not None and (stopped or not run.stopped):
                return run
            epochs = known if run is None else folder.saved_epochs()
            folder.discard_result() if epochs else folder.clear()
        if not stopped:
            with blaming_callbacks():
                setup.tracking.start(name, seed, _tracked_settings(setup.settings), epochs, task.metric_name)
            with seeded(seed, setup.device):
                training = TrainingModule(network, setup, seed, epochs, folder, report)
                fit(training, setup.device)
            stopped = training.stopped
        stopped = stopped and not is_over(epochs, setup.settings)
        if folder is not None:
            folder.save_result(Run.of(name, seed, epochs, folder.best, stopped=stopped, **measured))
    except (KeyboardInterrupt, SIGTERMException, CallbackError):
        raise
    except BaseException as error:  # noqa: BLE001  whatever a candidate raises is its own failure
        failure = _failure_reason(error, setup.settings.batch_size)
    checkpoint = folder.best if folder is not None and epochs and folder.best.exists() else None
    stopped = stopped and failure is None
    run = Run.of(name, seed, epochs, checkpoint, failure=failure, stopped=stopped, **measured)
    with blaming_callbacks():
        setup.tracking.end(run)
    return run


@contextmanager
def blaming_callbacks() -> Iterator[None]:
    """Errors of the caller's own functions, which are no failure of a candidate."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise CallbackError(error) from error


def _describe_run(network: nn.Module, seed: int, setup: TrainingSetup) -> dict[str, Any]:
    """All that a run's result depends on, in plain types: a result on disk is used only if this is the same."""
    task = setup.settings.task
    return {
        **vars(setup.settings),
        "task": f"{task.name} {identity(*attributes(task).values())}",
        "loss": task.loss_name,
        "seed": seed,
        "train": setup.train.fingerprint,
        "validation": setup.validation.fingerprint,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "network": identity(network),
    }


def _tracked_settings(settings: TrainingSettings) -> dict[str, Any]:
    """How a run is trained, as parameters of a tracker's run."""
    task = settings.task
    named = {"task": task.name, "loss": task.loss_name, "metric": task.metric_name}
    return {name: value for name, value in (vars(settings) | named).items() if value is not None}


def _failure_reason(error: BaseException, batch_size: int) -> str:
    """Why a run failed, in one line."""
    if is_out_of_memory(error):
        return f"out of memory at batch_size={batch_size}; try a smaller one"
    return str(error) if isinstance(error, ZerocostError) else describe_error(error)
