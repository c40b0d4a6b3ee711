"""The settings of a search, in groups: goal, scoring, proposals, stopping, training, and how it runs and is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from zerocost.base.errors import InputError
from zerocost.base.fidelity import as_fidelities, check_used
from zerocost.benchmarks.base import Benchmark
from zerocost.combine import Combination, as_combination, default
from zerocost.data import Batch
from zerocost.data.batch import usual_size
from zerocost.engine.losses import Loss
from zerocost.engine.outputs import Output
from zerocost.engine.proxy import Proxy
from zerocost.search.costs import Accuracy
from zerocost.search.group import SettingsGroup, at_least
from zerocost.search.latency_sources import LatencySource
from zerocost.search.limits import Limit
from zerocost.search.objectives import ACCURACY, SCORE, is_metric, read_objectives
from zerocost.search.own_costs import OwnCost
from zerocost.spaces import FULL, Fidelity
from zerocost.tasks import Task
from zerocost.tasks.task import as_task
from zerocost.train.tracking import MakeLogger, check_logger


@dataclass(frozen=True, kw_only=True)
class Goal(SettingsGroup):
    """What is wanted.

    Attributes:
        objectives: what is wanted: score, accuracy (or another metric), a proxy, or a cost such as params or latency.
            Less of a cost or an error is better, more of anything else. Separate several by commas; architectures are
            then ranked by fronts. A function of your own, from an `Architecture` to a number, is a cost too: joules is
            named joules_cost. One decorated with `zerocost.proxy` is the proxy.
        where: conditions on survivors, such as 'params < 2e6 and latency < 5 and snip > 0'. Conditions on costs alone
            are checked before anything is scored.
        limits: a function of your own or several, from an `Architecture` to whether it is allowed, or why not.
        latency: where latency comes from: torch or torch:THREADS on the device, onnxruntime or onnxruntime:THREADS, a
            table of layers that `zerocost latency record` wrote, a command such as 'cmd: ./run.sh {onnx}' that prints
            milliseconds, or a function of a network and a sample, or its FILE.py:NAME.
        hardware: a benchmark whose untrained numbers, such as `raspi4_latency`, can be named like costs.
        accuracy: what the objective "accuracy", or of errors "loss" or the like, is: a benchmark to look it up in, or a
            function of an `Architecture`. If None, networks are trained for `epochs`, and it is that of validation.
        task: what the outputs are for: classification, multilabel, regression, segmentation, next_token, or a
            `zerocost.tasks.Task`. By default inferred from the data.
        loss: function of outputs and targets, a mean over samples, in place of the task's; or FILE.py:NAME.
        metric: what trained networks are judged by, in place of the task's, such as accuracy or mean_absolute_error.
        output: the tensor in what a network returns: a key, an attribute, a place, a function or FILE.py:NAME. By
            default it is found.
    """

    objectives: Iterable[str | OwnCost] | OwnCost | str = SCORE
    where: str | None = None
    limits: Limit | Sequence[Limit] = ()
    latency: LatencySource = "torch"
    hardware: Benchmark | None = None
    accuracy: Accuracy | None = None
    task: Task | str | None = None
    loss: Loss | str | None = None
    metric: Any = None
    output: Output = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hardware is not None and not isinstance(self.hardware, Benchmark):
            raise InputError(f"hardware must be what benchmarks.get returns, but got {self.hardware!r}")
        if not self.objective_names:
            raise InputError(f"objectives must name what is wanted, such as {SCORE!r}, but got {self.objectives!r}")
        if not callable(self.limits) and not (isinstance(self.limits, Sequence) and all(map(callable, self.limits))):
            raise InputError(f"limits must be a function of an architecture, or several, but got {self.limits!r}")

    @cached_property
    def objective_names(self) -> tuple[str, ...]:
        """The objectives, one by one."""
        return tuple(read_objectives(self.objectives))

    @cached_property
    def own_costs(self) -> dict[str, OwnCost]:
        """The functions among the objectives, by the names of their numbers."""
        return {name: given for name, given in read_objectives(self.objectives).items() if not isinstance(given, str)}

    @property
    def trained_objective(self) -> str | None:
        """The objective that takes training, or a table of trained networks; None without any."""
        return next(filter(is_metric, self.objective_names), None)

    def choose_task(self, data: Any, batch: Batch) -> Task:
        """The task, where none is given what the data is certain about; `InputError` for parts that do not fit."""
        named, metric = self.trained_objective, self.metric
        if metric is None and self.accuracy is None and named != ACCURACY:
            metric = named
        chosen = as_task(self.task, data, batch, loss=self.loss, metric=metric, output=self.output)
        if named is not None and self.accuracy is None and named != chosen.metric_name:
            raise InputError(f"objective {named!r} is not what networks are judged by, which is {chosen.metric_name!r}")
        return chosen

    @property
    def limit_functions(self) -> tuple[Limit, ...]:
        """The user's own limits, one by one."""
        return (self.limits,) if callable(self.limits) else tuple(self.limits)


@dataclass(frozen=True, kw_only=True)
class Scoring(SettingsGroup):
    """How architectures are scored.

    Attributes:
        proxies: the proxies that "score" combines, by the log-rank sum within all that was scored; or a
            `zerocost.combine.Combination`, or the .json file of one. Its settings hold where none are given here. The
            default for token ids is `zerocost.combine.tokens`.
        fidelity: score smaller siblings, as in width=0.5,resolution=16. With 'width=0.5 > full' the best are scored
            again at the next fidelity. By default full size, or what the combination of proxies says.
        reduction: score the best 1/reduction of the architectures again at the next fidelity.
        batch: samples in the batch that networks are scored on. By default 64 (all of fewer), or what proxies say.
        repeats: initialisations that each network is scored from, each on a batch of its own; scores are means. By
            default 1, or what the combination of proxies says.
    """

    proxies: Combination | Iterable[str | Proxy] | str = default
    fidelity: Fidelity | str | Sequence[Fidelity | str] | None = None
    reduction: int = at_least(2, default=4)
    batch: int | None = at_least(1, default=None)
    repeats: int | None = at_least(1, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.fidelities:
            raise InputError("fidelity must be one Fidelity or several, but got an empty sequence")
        check_used("batch", self.batch, self.fidelities)
        check_used("repeats", self.repeats, self.fidelities[-1:])

    @cached_property
    def combination(self) -> Combination:
        """What "score" is."""
        return as_combination(self.proxies)

    def batch_size(self, data: Dataset[Any]) -> int:
        """Samples in the scoring batch, at a fidelity that does not say."""
        return self.batch or self.combination.batch or usual_size(data)

    @property
    def repeat_count(self) -> int:
        """Initialisations that scores are means over."""
        return self.fidelities[-1].repeats or self.repeats or self.combination.repeats or 1

    @cached_property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """From the cheapest to the one that decides."""
        return as_fidelities(self.combination.fidelity or FULL if self.fidelity is None else self.fidelity)


@dataclass(frozen=True, kw_only=True)
class Proposals(SettingsGroup):
    """How architectures are proposed.

    Attributes:
        strategy: what proposes architectures: a name, such as random or evolution, or an Optuna sampler.
        warmup: with the objective accuracy, start from the best by score of this many random architectures
            (Abdelfattah et al., ICLR 2021).
        moves: with the objective accuracy, propose the best by score of this many moves.
    """

    strategy: Any = "random"
    warmup: int = at_least(0, default=0)
    moves: int = at_least(1, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        from zerocost.samplers.strategies import check_strategy  # Optuna takes long to import

        check_strategy(self.strategy)

    @property
    def guided(self) -> bool:
        """Whether scores choose the start or the moves."""
        return bool(self.warmup) or self.moves > 1

    @property
    def strategy_name(self) -> str:
        """The strategy's name, or the class of a sampler."""
        return self.strategy if isinstance(self.strategy, str) else type(self.strategy).__name__


def _check_seconds(name: str, seconds: float | None) -> None:
    if seconds is not None and not (isinstance(seconds, int | float | np.number) and seconds > 0):
        raise InputError(f"{name} must be above 0, but got {seconds!r}")


@dataclass(frozen=True, kw_only=True)
class Stopping(SettingsGroup):
    """When proposing ends.

    Attributes:
        candidates: architectures to score; all of a smaller space.
        trials: stop after this many proposals, scored or not.
        seconds: stop proposing after this many seconds.
        patience: stop after this many scored architectures in a row without a better one.
    """

    candidates: int = at_least(1, default=200)
    trials: int | None = at_least(1, default=None)
    seconds: float | None = None
    patience: int | None = at_least(1, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_seconds("seconds", self.seconds)


@dataclass(frozen=True, kw_only=True)
class Training(SettingsGroup):
    """How survivors are trained.

    Attributes:
        keep: survivors to train, alongside as many random picks; with a budget of trainings, only the random picks.
        trainings: a budget. The first few are chosen by score, the next by what those trained so far have taught, until
            so many candidates are trained. By default the best `keep` by score are trained at once.
        training_seconds: choose no further candidates after this many seconds of epochs, those of all processes added.
        round_size: with a budget, candidates chosen at once after the first round, which has five at least.
        epochs: epochs of training; 0 stops after the filter.
        training_seeds: trainings of each survivor, with seeds 0, 1, ….
        halving: train by successive halving: all a little, the best third three times as long, and so on.
        logger: track each training as a run: csv, tensorboard, mlflow or wandb, with a place after a colon, as in
            csv:logs or mlflow:sqlite:///mlflow.db; or a function of name and seed that returns a logger of Lightning.
    """

    keep: int = at_least(1, default=5)
    trainings: int | None = at_least(1, default=None)
    training_seconds: float | None = None
    round_size: int = at_least(1, default=2)
    epochs: int = at_least(0, default=8)
    training_seeds: int = at_least(1, default=1)
    halving: bool = False
    logger: str | MakeLogger | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_logger(self.logger)
        _check_seconds("training_seconds", self.training_seconds)
        if self.learns and not self.epochs:
            raise InputError("a budget of trainings needs epochs >= 1")
        if self.learns and self.halving:
            raise InputError("halving compares candidates of one round; leave it out, or the budget of trainings")

    @property
    def learns(self) -> bool:
        """Whether trainings say what to train next."""
        return self.trainings is not None or self.training_seconds is not None


@dataclass(frozen=True, kw_only=True)
class Place(SettingsGroup):
    """How it runs.

    Attributes:
        device: where to score, measure latency and train: cpu, cuda, cuda:1, …
        workers: processes to score in, with one torch thread each. They also train candidates of a round at once, but
            not on one GPU. Results do not depend on it, but for last digits, which depend on the number of threads. By
            default one; with device cuda one for each GPU; on Ray one for each CPU, or GPU, of the cluster.
        ray: score and train on a Ray cluster: auto for the one that this machine belongs to, its address as HOST:PORT,
            or local for a new one on this machine. Needs the extra ray.
        seed: the same one gives the same result: split, architectures, batch, first weights and random picks.
    """

    device: str | torch.device | None = None
    workers: int | None = at_least(1, default=None)
    ray: str | None = None
    seed: int = at_least(0, default=0)

    @property
    def device_name(self) -> str:
        """The device, the CPU unless another is given."""
        return str(self.device or "cpu")


@dataclass(frozen=True, kw_only=True)
class Keeping(SettingsGroup):
    """Where work is kept.

    Attributes:
        store: file, or postgresql://… database, to keep scores in. The same search goes on from there after a break,
            and no score in it is computed twice. By default scores stay in memory.
        study_storage: database of Optuna's study: for its dashboard, and for several processes or machines that search
            together, each with the same settings, store and storage. What they find depends on who was faster.
        workdir: folder to keep trainings in, to go on after a break. By default none is kept.
    """

    store: str | Path | None = None
    study_storage: str | None = None
    workdir: str | Path | None = None
