"""What a search did and found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zerocost.base.errors import InputError
from zerocost.combine import Combination
from zerocost.engine.lazy import materialised
from zerocost.scoring.candidates import initialise
from zerocost.scoring.table import ScoreTable
from zerocost.tasks import Task, classification
from zerocost.train.run import Run

Progress = Callable[[str, int, int], None]
"""Called with the stage of a search ("score", "train"), the number of its steps that are done, and the total."""


@dataclass(frozen=True)
class Stage:
    """One stage of a search: how many came out of it and how long it took."""

    name: str
    count: int
    seconds: float
    detail: str


@dataclass
class SearchResult:
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
        earlier: the tables of lower fidelities, from which the best were scored again.
        sizes: what a shipped space was made for, as `spaces.get` takes it.
        sample: the inputs of one sample, as networks take them.
        task: what the networks' outputs are for.
        inputs: what is known of the inputs: shape, dtype, and what they were standardised by.
        outputs: what is known of the targets, such as the names of the classes.
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
    earlier: list[ScoreTable] = field(default_factory=list)
    sizes: dict[str, Any] = field(default_factory=dict)
    sample: Any = field(default=None, repr=False)
    task: Task = classification
    inputs: Any = field(default=None, repr=False)
    outputs: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def best(self) -> str | None:
        """The survivor of the best mean metric over its training seeds; None before training."""
        found: dict[str, list[float]] = {}
        for run in self.survivors:
            if run.metric is not None and run.ended_well:
                found.setdefault(run.name, []).append(run.metric)
        pick = max if self.task.higher_is_better else min
        return pick(found, key=lambda name: float(np.mean(found[name])), default=None)

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
        from zerocost.train.folder import training_settings

        runs = [run for run in self.survivors if run.name == self.best and run.checkpoint is not None]
        if self.best is None or not runs:
            why = "no survivor was trained to the end" if self.best is None else "its weights were not kept"
            raise InputError(f"there is no best network to write: {why}; search with epochs >= 1 and a workdir")
        sign = 1 if self.task.higher_is_better else -1
        run = max(runs, key=lambda run: sign * (run.metric or 0.0))
        model = materialised(initialise(self.table.candidates[self.best], run.seed), self.sample)
        model.load_state_dict(torch.load(str(run.checkpoint), weights_only=True))
        known = self.sizes or space
        training = run.to_dict() | {"settings": training_settings(Path(str(run.checkpoint)))}
        del training["checkpoint"]
        return export(
            model,
            self.sample,
            folder,
            formats,
            origin=Origin(space or self.space, self.best, {} if space else self.sizes) if known else None,
            settings={
                **{"inputs": self.inputs, "outputs": self.outputs, "seed": run.seed},
                **{"scores": self.table.cards[self.best].scores, "training": training, "search": self.settings},
            },
        )


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a search; `result` holds what was done until then."""

    def __init__(self, result: SearchResult) -> None:
        super().__init__(f"interrupted; {len(result.table)} scored, {len(result.survivors)} survivor runs trained")
        self.result = result
