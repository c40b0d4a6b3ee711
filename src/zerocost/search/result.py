"""What a search did and found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch

from zerocost.base.errors import InputError
from zerocost.base.format import plural
from zerocost.base.result import Result
from zerocost.combine import Combination
from zerocost.engine.model.lazy import materialised
from zerocost.scoring.candidates import initialise
from zerocost.scoring.table import ScoreTable
from zerocost.tasks import TASKS, Task, classification
from zerocost.tasks.text import metric_text
from zerocost.train.run import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go


_NOT_SAVED = ("sample", "inputs", "outputs")


@dataclass(frozen=True)
class Stage:
    """One stage of a search: how many came out of it and how long it took."""

    name: str
    count: int
    seconds: float
    detail: str


class Expected(NamedTuple):
    """What was expected of a candidate just before it was trained, in units of the metric.

    Attributes:
        name: the candidate.
        mean: the expected metric; None in the first round, which goes by score.
        std: its standard deviation, likewise.
    """

    name: str
    mean: float | None
    std: float | None


@dataclass(eq=False, repr=False)
class SearchResult(Result):
    """What a search did and found; a search that was interrupted has what was done until then.

    Attributes:
        space: name of the search space.
        table: every scored architecture, best first; its index is the architecture's exact text.
        kept: the survivors, best first; `kept.dropped` says why each other one was dropped.
        survivors: training runs of the survivors, one for each of them and each training seed.
        random: training runs of as many architectures drawn at random, anew for each training seed.
        stages: what each stage produced and cost.
        settings: everything that the result depends on.
        objectives: what was wanted, by name.
        combination: what "score" is.
        front: the architectures that no other is better than in all objectives; of one objective, the best.
        order: all scored architectures in the order they were proposed.
        rejected: why each other proposal was not scored: the limit it is over.
        expected: with a budget of trainings, what was expected of each trained candidate, in the order of training.
        trust: by how much the expectation rises with one standard deviation of the score, and of each proxy's rank.
        earlier: the tables of lower fidelities, from which the best were scored again.
        sizes: what a shipped space was made for, as `spaces.get` takes it.
        sample: the inputs of one sample, as networks take them; None in a result that was loaded from a file.
        task: what the networks' outputs are for; in a result that was loaded, the shipped task of its name, if any.
        inputs: what is known of the inputs: shape, dtype, and what they were standardised by; not saved.
        outputs: what is known of the targets, such as the names of the classes; not saved.
    """

    space: str
    table: ScoreTable
    kept: ScoreTable
    survivors: list[Run] = field(default_factory=list)
    random: list[Run] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    objectives: tuple[str, ...] = ("score",)
    combination: Combination | None = None
    front: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    expected: list[Expected] = field(default_factory=list)
    trust: dict[str, float] = field(default_factory=dict)
    earlier: list[ScoreTable] = field(default_factory=list)
    sizes: dict[str, Any] = field(default_factory=dict)
    sample: Any = None
    task: Task = classification
    inputs: Any = field(default=None, repr=False)
    outputs: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def best(self) -> str | None:
        """The survivor of the best mean metric over its seeds, of equal ones one on the front; None before training."""
        found = _mean_metrics(self.survivors)
        sign = 1 if all(run.higher_is_better for run in self.survivors) else -1
        return max(found, key=lambda name: (sign * found[name], name in self.front), default=None)

    @property
    def best_metric(self) -> float | None:
        """The mean metric of the best over its seeds; None before training."""
        return _mean_metrics(self.survivors).get(self.best or "")

    @property
    def tables(self) -> list[ScoreTable]:
        """The tables of all fidelities, in the order of scoring."""
        return [*self.earlier, self.table]

    @property
    def metric_name(self) -> str:
        """What runs were compared by; "accuracy" before training."""
        return next((run.metric_name for run in self.survivors), "accuracy")

    def to_frame(self) -> pd.DataFrame:
        """Every scored architecture, best first: its scores, whether it was kept, and its mean metric if trained, as a
        survivor, a random pick or for an objective; beside an accuracy that was looked up it is "trained accuracy"."""
        frame, metric = self.table.to_frame(), self._trained_column
        trained = pd.Series(_mean_metrics([*self.random, *self.survivors]), dtype=float).reindex(frame.index)
        trained = trained.fillna(frame[metric]) if metric in frame else trained
        return frame.assign(kept=frame.index.isin(self.kept.frame.index)).assign(**{metric: trained})

    @property
    def _trained_column(self) -> str:
        """The column of what trainings reached: not that of an objective that was looked up, whose unit may differ."""
        looked_up = "accuracy" in self.settings and self.metric_name in self.objectives
        return f"trained {self.metric_name}" if looked_up else self.metric_name

    def plot(self) -> go.Figure:
        """The metric of survivors beside random picks; before training, the scores in the order proposed."""
        from zerocost.search.figures import proposed_figure, trained_figure

        if any(run.metric is not None for run in self.survivors):
            return trained_figure(self.survivors, self.random)
        return proposed_figure(self.table.frame["rank_score"].reindex(self.order or list(self.table.frame.index)))

    def to_dict(self) -> dict[str, Any]:
        """All but builders and the sample with what is known of it, as plain values."""
        known = {
            **{name: getattr(self, name).to_dict() for name in ("table", "kept")},
            **{name: [run.to_dict() for run in getattr(self, name)] for name in ("survivors", "random")},
            "stages": [vars(stage) for stage in self.stages],
            "combination": None if self.combination is None else self.combination.as_dict(),
            "earlier": [table.to_dict() for table in self.earlier],
            "task": self.task.name,
        }
        return {name: value for name, value in (vars(self) | known).items() if name not in _NOT_SAVED}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The result that `to_dict` described, without builders and sample."""
        combination = values["combination"]
        made = {
            **{name: ScoreTable.from_dict(values[name]) for name in ("table", "kept")},
            **{name: [Run.from_dict(run) for run in values[name]] for name in ("survivors", "random")},
            "stages": [Stage(**stage) for stage in values["stages"]],
            "objectives": tuple(values["objectives"]),
            "expected": [Expected(*one) for one in values["expected"]],
            "combination": None if combination is None else Combination.from_dict(combination),
            "earlier": [ScoreTable.from_dict(table) for table in values["earlier"]],
            "task": TASKS.get(values["task"], classification),
        }
        return cls(**values | made)

    def _headline(self) -> str:
        runs = len(self.survivors) + len(self.random)
        value = self.best_metric
        best = ""
        if not len(self.kept) and self.kept.dropped:
            best = f"; the first was dropped: {next(iter(self.kept.dropped.values()))}"
        elif value is not None:
            best = f"; best survivor {self.best}, {self.metric_name} {metric_text(self.metric_name, value)}"
        elif failures := [run.failure for run in self.survivors if run.failure]:
            best = f"; no survivor was trained to its end, the first failed: {failures[0]}"
        scored = f"{plural(len(self.table), 'architecture')} scored, {len(self.kept)} kept"
        return f"SearchResult: {self.space}, {scored}, {plural(runs, 'run')} trained{best}"

    def _shown(self) -> pd.DataFrame:
        """The survivors."""
        frame = self.to_frame().loc[self.kept.frame.index].drop(columns="kept")
        return frame if self.survivors else frame.drop(columns=self._trained_column)

    def export(
        self, folder: str | Path, formats: Iterable[str] = ("safetensors",), *, space: str | None = None
    ) -> dict[str, Path]:
        """Write the best trained network as a folder that loads where zerocost is not installed.

        The weights are those of its best epoch, from the `workdir` of the search. `space` is `FILE.py:NAME` where the
        space is your own; without it, the folder of such a network has no source that builds it. Formats, files and
        errors are those of `zerocost.search.export.export`; `InputError` when nothing was trained, or no `workdir` kept
        it.
        """
        from zerocost.search.export import export
        from zerocost.search.origin import Origin
        from zerocost.search.preparation import describe_tensor
        from zerocost.train.folder import training_settings

        runs = [run for run in self.survivors if run.name == self.best and run.checkpoint is not None]
        if self.best is None or not runs:
            why = "no survivor was trained to the end" if self.best is None else "its weights were not kept"
            raise InputError(f"there is no best network to write: {why}; search with epochs >= 1 and a workdir")
        if self.sample is None:
            raise InputError("a result that was loaded from a file has no builders to export from; search again")
        sign = 1 if self.task.higher_is_better else -1
        run = max(runs, key=lambda run: sign * (run.metric or 0.0))
        model = materialised(initialise(self.table.candidates[self.best], run.seed), self.sample)
        model.load_state_dict(torch.load(str(run.checkpoint), weights_only=True))
        known = self.sizes or space
        outputs = describe_tensor(model, self.sample, self.task) | self.outputs
        training = run.to_dict() | {"settings": training_settings(Path(str(run.checkpoint)))}
        del training["checkpoint"]
        return export(
            model,
            self.sample,
            folder,
            formats,
            origin=Origin(space or self.space, self.best, {} if space else self.sizes) if known else None,
            settings={
                "inputs": self.inputs,
                "outputs": outputs,
                "seed": run.seed,
                "scores": self.table.cards[self.best].scores,
                "training": training,
                "search": self.settings,
            },
        )


def _mean_metrics(runs: Iterable[Run]) -> dict[str, float]:
    """The mean metric over the training seeds of each candidate that was trained to the end."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if run.ended_well and run.metric is not None:
            found.setdefault(run.name, []).append(run.metric)
    return {name: float(np.mean(values)) for name, values in found.items()}


class NothingFits(InputError):
    """Everything that was proposed is over a limit; `result` has the reasons of each, in `rejected`."""

    def __init__(self, message: str, result: SearchResult) -> None:
        super().__init__(message)
        self.result = result


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a search; `result` holds what was done until then."""

    def __init__(self, result: SearchResult) -> None:
        super().__init__(f"interrupted; {len(result.table)} scored, {len(result.survivors)} survivor runs trained")
        self.result = result
