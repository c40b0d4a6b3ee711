"""All settings of a search together, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass

from zerocost.base.errors import InputError
from zerocost.benchmarks.base import Benchmark
from zerocost.search.fit_space import Space
from zerocost.search.latency_sources import latency_meter
from zerocost.search.names import check_names
from zerocost.search.objectives import ACCURACY, SCORE, is_metric
from zerocost.search.settings import Goal, Place, Proposals, Scoring, Stopping, Training
from zerocost.tasks.metrics import LOSS, minimised


@dataclass(frozen=True)
class SearchSettings(Place, Training, Stopping, Proposals, Scoring, Goal):  # fields come from the last base first
    """The space and every group of settings, each as in its group; `zerocost.Pipeline` runs them.

    Raises:
        InputError: settings that contradict each other, or a name that nobody knows.
    """

    space: Space

    def __post_init__(self) -> None:
        super().__post_init__()
        trained = self.trained_objective
        if self.guided and trained is None:
            raise InputError(f"warmup and moves are for the objective {ACCURACY!r}; without it scores need no guide")
        if trained is not None and self.accuracy is None and not self.epochs:
            raise InputError(f"objective {trained!r} needs epochs >= 1 to train, or a table to look it up in")
        if trained is None and self.accuracy is not None:
            raise InputError(
                f"what accuracy is looked up in is for the objective {ACCURACY!r}, but the objectives are "
                f"{', '.join(self.objective_names)}; name {ACCURACY} among them, or leave it out; to learn from "
                "accuracies of your own, see zerocost.predict.learn"
            )
        self._check_direction()
        no_score = len(self.objective_names) > 1 and SCORE not in self.objective_names
        if self.learns and (trained is not None or no_score):
            wrong = f"leave out {trained}, which trainings are judged by" if trained else "name score among them"
            raise InputError(
                "a budget of trainings goes on from the objective score, alone or beside costs, but got objectives "
                f"{', '.join(self.objective_names)}; {wrong}"
            )
        if not self.learns and self.round_size != Training.round_size:
            raise InputError(
                f"round_size is for a budget of trainings, but got {self.round_size} without one; name trainings or "
                "training_seconds, or leave it out"
            )
        latency_meter(self.latency)
        check_names(self.objective_names, self.conditions, self.combination.proxies, self.hardware, self.own_costs)

    def _check_direction(self) -> None:
        """Raise `InputError` for an objective of which more is better in a benchmark of errors, or the reverse."""
        name, source = self.trained_objective, self.accuracy
        if name is None or not isinstance(source, Benchmark):
            return
        metric = source.default.metric
        falls = metric in source.less_is_better
        if falls != minimised(name):
            fitting = metric if is_metric(metric) else LOSS if falls else ACCURACY
            raise InputError(
                f"objective {name!r} is looked up in {metric}, of which {'less' if falls else 'more'} is better; name "
                f"the objective {fitting!r}"
            )

    @property
    def conditions(self) -> str | None:
        """The conditions of the search and those of its combination."""
        return self.combination.conditions(self.where)
