"""Trainings in the tracker that one uses: loggers of Lightning, one run a training."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

import pandas as pd

from zerocost.base.errors import InputError, MissingExtraError, ZerocostError, describe_error, unknown
from zerocost.base.files import check_folder
from zerocost.train.folder import folder_name
from zerocost.train.run import Epoch, Run


class _Place(NamedTuple):
    """What a logger is made for.

    Attributes:
        where: what was given behind the colon, such as a folder; "" for nothing.
        experiment: groups the runs, a search's name.
        name: of the candidate.
        seed: of the training.
    """

    where: str
    experiment: str
    name: str
    seed: int


def _csv(place: _Place) -> Any:
    """Files `metrics.csv` and `hparams.yaml` in a folder of each run."""
    return _logger("CSVLogger")(place.where or "logs", name=_folder(place), flush_logs_every_n_steps=1)


def _tensorboard(place: _Place) -> Any:
    return _logger("TensorBoardLogger")(place.where or "logs", name=_folder(place), default_hp_metric=False)


def _mlflow(place: _Place) -> Any:
    """A run of MLflow; the process's own address of MLflow, which the logger sets, is set back."""
    with warnings.catch_warnings(), _silent("mlflow"):
        warnings.simplefilter("ignore")
        mlflow: Any = importlib.import_module("mlflow")
        before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
        address = place.where or mlflow.get_tracking_uri()
        made = _logger("MLFlowLogger")(place.experiment, f"{place.name} seed {place.seed}", address)
        try:
            _ = made.experiment
        finally:
            mlflow.set_tracking_uri(before)
    return made


def _wandb(place: _Place) -> Any:
    project = place.where or "zerocost"
    name = f"{place.name} seed {place.seed}"
    return _logger("WandbLogger")(name=name, project=project, group=place.experiment, reinit="create_new")


class _Known(NamedTuple):
    """A tracker that can be named: what makes its logger, and the packages one of which it needs."""

    make: Callable[[_Place], Any]
    packages: tuple[str, ...]


LOGGERS = {
    "csv": _Known(_csv, ()),
    "tensorboard": _Known(_tensorboard, ("tensorboard", "tensorboardX")),
    "mlflow": _Known(_mlflow, ("mlflow",)),
    "wandb": _Known(_wandb, ("wandb",)),
}
"""By name, which is also that of the extra."""

MakeLogger = Callable[[str, int], Any]
"""Called with the name of a candidate and a seed; returns a logger of Lightning."""


def check_logger(logger: object) -> None:
    """`InputError` for what names no tracker and is no function, or a folder that cannot be written to;
    `MissingExtraError` for a tracker that is not installed.
    """
    if logger is None or callable(logger) or isinstance(logger, Tracking):
        return
    if not isinstance(logger, str):
        raise InputError(
            f"logger must be one of {', '.join(LOGGERS)}, or a function of name and seed, but got {logger!r}"
        )
    name, _, where = logger.partition(":")
    if name not in LOGGERS:
        raise unknown("logger", name, LOGGERS)
    if name in ("csv", "tensorboard"):
        check_folder(where or None)
    packages = LOGGERS[name].packages
    if packages and not any(map(importlib.util.find_spec, packages)):
        raise MissingExtraError(f"logger {name} needs the extra {name}: pip install 'zerocost[{name}]'")


@dataclass
class _Tracked:
    """The tracker's run of one training, and the number of epochs that it has."""

    logger: Any
    epochs: int = 0


@dataclass
class Tracking:
    """What tracks the trainings of one call; closed at its end.

    Attributes:
        logger: NAME or NAME:PLACE of a tracker, or a function of name and seed to a logger; None tracks nothing.
        search: the name of the search that the trainings are of, which groups the runs.
        parameters: what the runs say of each candidate besides its name, such as its scores.
    """

    logger: str | MakeLogger | None
    search: str | None = None
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _open: dict[tuple[str, int], _Tracked] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_logger(self.logger)

    def start(self, name: str, seed: int, settings: Mapping[str, Any], epochs: Sequence[Epoch], metric: str) -> None:
        """Begin a run, or go on with that of a training that was stopped; `epochs` are those from before."""
        if self.logger is None:
            return
        with self._blaming():
            if (name, seed) not in self._open:
                tracked = self._open[name, seed] = _Tracked(self._make(name, seed))
                search = {} if self.search is None else {"search": self.search}
                said = search | {"architecture": name, "seed": seed, **self.parameters.get(name, {}), **settings}
                tracked.logger.log_hyperparams({re.sub(r"[^\w\-./ :]", "_", key): said[key] for key in said})
        for epoch in epochs[self._open[name, seed].epochs :]:
            self.log(name, seed, epoch, metric)

    def log(self, name: str, seed: int, epoch: Epoch, metric: str) -> None:
        """Add an epoch."""
        if self.logger is None:
            return
        values = {"train_loss": epoch.train_loss, "validation_loss": epoch.validation_loss}
        values |= {metric: epoch.validation_metric, "seconds": epoch.seconds}
        tracked = self._open[name, seed]
        with self._blaming():
            tracked.logger.log_metrics(values, step=epoch.epoch)
        tracked.epochs = epoch.epoch

    def end(self, run: Run) -> None:
        """End the run of a training, unless it was stopped and may go on."""
        if not run.stopped:
            self._end((run.name, run.seed), "success" if run.failure is None else "failed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for key in list(self._open):
            self._end(key, "success" if kind is None else "failed")

    def _make(self, name: str, seed: int) -> Any:
        """The logger of one training."""
        if not isinstance(self.logger, str):
            assert self.logger is not None
            return self.logger(name, seed)
        kind, _, where = self.logger.partition(":")
        return LOGGERS[kind].make(_Place(where, self.search or "zerocost", name, seed))

    def _end(self, key: tuple[str, int], status: str) -> None:
        tracked = self._open.pop(key, None)
        if tracked is None:
            return
        with self._blaming():
            tracked.logger.finalize(status)
            if isinstance(self.logger, str) and self.logger.startswith("wandb"):
                tracked.logger.experiment.finish()

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        """What a tracker raises is no failure of a candidate."""
        try:
            yield
        except (ZerocostError, KeyboardInterrupt):
            raise
        except Exception as error:
            what = self.logger if isinstance(self.logger, str) else "your own"
            raise InputError(f"logger {what} failed: {describe_error(error)}") from error


def as_tracking(logger: Tracking | str | MakeLogger | None, candidates: object) -> AbstractContextManager[Tracking]:
    """The tracking itself, which its owner closes, or one with the scores of the candidates, where they are a table."""
    if isinstance(logger, Tracking):
        return nullcontext(logger)
    frame = getattr(candidates, "frame", None)
    scores = {} if frame is None else score_parameters(frame)
    return Tracking(logger, parameters=scores)


def score_parameters(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By candidate, its scores in a table as parameters of a run.

    >>> score_parameters(pd.DataFrame({"snip": [0.5]}, index=["a"]))
    {'a': {'score.snip': 0.5}}
    """
    rows = frame.to_dict("index").items()
    return {str(name): {f"score.{column}": value for column, value in row.items()} for name, row in rows}


def _logger(name: str) -> Any:
    """A class of Lightning's loggers."""
    return getattr(importlib.import_module("pytorch_lightning.loggers"), name)


def _folder(place: _Place) -> str:
    """The folder of a training's runs, in that of the experiment."""
    return f"{folder_name(place.experiment)}/{folder_name(place.name)}/seed-{place.seed}"


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Only errors of a package's log."""
    log = logging.getLogger(name)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
