"""A task: one value that says what a network's outputs are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import InputError, unknown
from zerocost.base.format import name_of
from zerocost.base.user_code import FileFunction
from zerocost.data import Batch
from zerocost.data.dataset import declared_task
from zerocost.data.targets import class_numbers, is_zero_or_one
from zerocost.data.tensors import is_integer
from zerocost.engine.losses import (
    IGNORED,
    MEANS,
    Loss,
    binary_cross_entropy,
    cross_entropy,
    next_token_loss,
    squared_error,
)
from zerocost.engine.outputs import Output, OutputPicker
from zerocost.tasks.metrics import LOSS, METRICS, Meter, known_metric

_OWN = "own"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a network's outputs are for: how they are scored, trained and judged.

    Attributes:
        loss: function of outputs and targets, a mean over samples. One of your own gets the targets as they are.
        metric: what trained networks are judged by: a name, such as "accuracy" or "mean_absolute_error", a metric of
            torchmetrics, which gets outputs and targets as they are (outputs N×1 as N where targets are N), or "loss".
            Its direction is that of torchmetrics.
        output: the tensor in what a network returns: a key, an attribute, a place in a tuple, or a function. If None,
            the tensor returned, or what common names lead to.
        name: of the task.

    Raises:
        InputError: a loss that is no function, an unknown metric, one without a direction, or one that the targets of a
            task do not have.

    >>> absolute = Task(loss=torch.nn.functional.l1_loss, metric="mean_absolute_error")
    >>> absolute.metric_name, absolute.higher_is_better
    ('mean_absolute_error', False)
    """

    loss: Loss
    metric: Any = LOSS
    output: Output = None
    name: str = _OWN

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise InputError(f"loss must be a function of outputs and targets, but got {self.loss!r}")
        if isinstance(self.loss, type) and issubclass(self.loss, torch.nn.Module):
            name = self.loss.__name__
            raise InputError(f"loss must be a function of outputs and targets, but got the class {name}; give {name}()")
        OutputPicker(self.output)
        if isinstance(self.metric, str):
            known = known_metric(self.metric)
            if self.metric != LOSS and self.form not in known.forms:
                fitting = ", ".join(name for name, one in METRICS.items() if self.form in one.forms or name == LOSS)
                raise InputError(f"{self.name} has no metric {self.metric!r}; it has {fitting}")
        elif not isinstance(getattr(self.metric, "higher_is_better", None), bool):
            raise InputError(
                f"metric must be a name ({', '.join(METRICS)}) or a metric of torchmetrics that says whether higher is "
                f"better, but got {self.metric!r}"
            )

    @property
    def form(self) -> str:
        """What the outputs are: "multiclass", "multilabel", "numbers" or "tokens"."""
        if self.name in _FORMS:
            return _FORMS[self.name]
        forms = METRICS[self.metric].forms if isinstance(self.metric, str) else ()
        return forms[0] if forms else "numbers"

    @property
    def metric_name(self) -> str:
        """The name of the metric."""
        return self.metric if isinstance(self.metric, str) else type(self.metric).__name__

    @property
    def higher_is_better(self) -> bool:
        """Whether more of the metric is better."""
        source: Any = known_metric(self.metric) if isinstance(self.metric, str) else self.metric
        return bool(source.higher_is_better)

    @property
    def loss_name(self) -> str:
        """The name of the loss."""
        return name_of(self.loss)

    def nearest_possible(self, value: float) -> float:
        """The value that the metric can have which is nearest: of errors and shipped losses none is below 0."""
        if not isinstance(self.metric, str):
            return value
        found = known_metric(self.metric).nearest_possible(value)
        return max(found, 0.0) if self.metric == LOSS and self.loss in MEANS else found

    def meter(self) -> Meter | None:
        """What measures the metric; None where it is the loss."""
        by_loss = isinstance(self.metric, str) and self.metric == LOSS  # metrics of torchmetrics are equal to anything
        return None if by_loss else Meter(self.metric, self.form)

    def targets(self, targets: Tensor | None) -> Tensor | None:
        """Targets as the loss takes them: for cross-entropy class numbers, else as they are."""
        return class_numbers(targets) if self.loss is cross_entropy else targets

    def check_target(self, target: Tensor) -> None:
        """Raise `InputError` for a sample's target that this task cannot be trained on."""
        got = f"{target.dtype} of shape {tuple(target.shape)}"
        if target.is_complex():
            raise InputError(f"targets must be real numbers, but one is {got}")
        numbers = class_numbers(target[None])
        assert numbers is not None
        if self.name == "classification" and (numbers.ndim > 1 or numbers.is_floating_point()):
            raise InputError(
                f"classification labels are expected, one integer a sample, but a target is {got}; for other targets "
                "name the task, such as regression, multilabel or next_token, or give your own, "
                "zerocost.Task(loss=…, metric=…)"
            )
        if self.name == "segmentation" and (not target.ndim or numbers.is_floating_point()):
            raise InputError(f"segmentation needs an integer for each pixel, but a target is {got}")
        if self.name == "next_token" and (not target.ndim or not is_integer(target)):
            raise InputError(f"next_token needs an integer for each token, but a target is {got}")

    def check_differ(self, training: Tensor | None, validation: Tensor | None) -> None:
        """Raise `InputError` for targets that are all the same: to train on, they teach a shipped loss nothing; to
        validate on, those of one class tell a named metric nothing.
        """
        if self.loss not in MEANS:
            return
        classes = self.form == "multiclass"
        if count := _equal_targets(training):
            same = "are of one class" if classes else "are the same"
            raise InputError(
                f"the {count} targets to train on {same}, so there is nothing to learn; give data whose targets differ"
            )
        if classes and isinstance(self.metric, str) and (count := _equal_targets(validation)):
            raise InputError(
                f"the {count} targets to validate on are of one class, of which {self.metric} tells nothing; give data "
                "to validate on that has several"
            )


_FORMS = {
    "classification": "multiclass",
    "multilabel": "multilabel",
    "regression": "numbers",
    "segmentation": "multiclass",
    "next_token": "tokens",
}
"""By the name of a task, what its outputs are."""

classification = Task(loss=cross_entropy, metric="accuracy", name="classification")
"""One class a sample: logits N×classes (or one logit for two classes), integer labels N."""
multilabel = Task(loss=binary_cross_entropy, metric="average_precision", name="multilabel")
"""Several labels a sample: logits N×labels, targets 0 or 1 of the same shape."""
regression = Task(loss=squared_error, metric="mean_squared_error", name="regression")
"""Numbers: outputs and targets of the same shape."""
segmentation = Task(loss=cross_entropy, metric="jaccard_index", name="segmentation")
"""A class for each pixel: logits N×classes×H×W, integer labels N×H×W, −100 where none counts."""
next_token = Task(loss=next_token_loss, metric="perplexity", name="next_token")
"""Language models: logits N×length×vocabulary; the targets are the input's tokens N×length, shifted by the loss."""

TASKS = {task.name: task for task in (classification, multilabel, regression, segmentation, next_token)}
"""The tasks by name."""


def as_task(task: Task | str | None, data: Any, batch: Batch | None = None, **changes: Any) -> Task:
    """The task that was given, or the one that the data is certain about, with some of its parts replaced.

    Args:
        task: a task, its name, or None.
        data: where the samples come from, which may say what it was made for.
        batch: some of its samples.
        changes: `loss`, `metric` and `output`, each None where it stays. A function may be given as FILE.py:NAME.

    Raises:
        InputError: an unknown task, or parts that do not fit together.

    >>> as_task(None, None, Batch(torch.rand(2, 3), torch.rand(2))).name
    'regression'
    >>> as_task("classification", None, loss=torch.nn.functional.cross_entropy).metric
    'accuracy'
    """
    if isinstance(task, str) and task not in TASKS:
        raise unknown("task", task, TASKS)
    if not isinstance(task, Task | str | None):
        raise InputError(f"task must be a zerocost.tasks.Task or one of {', '.join(TASKS)}, but got {task!r}")
    given = {name: value for name, value in changes.items() if value is not None}
    if task is None and given.get("loss") is cross_entropy:
        task = classification
    declared = declared_task(data)
    certain = declared if declared in TASKS else _infer(batch)
    for name in ("loss", "output"):
        if isinstance(value := given.get(name), str) and ".py:" in value:
            given[name] = FileFunction(value)
    chosen = task if isinstance(task, Task) else TASKS[task or certain]
    return replace(chosen, **given)


def task_name(task: Task | str | None) -> str | None:
    """The name of a task, given as one or by name; None for none."""
    return task.name if isinstance(task, Task) else task


def _infer(batch: Batch | None) -> str:
    """The name of the task that a batch is certain about; that of classification without targets."""
    if batch is None or batch.targets is None:
        return "classification"
    targets = class_numbers(batch.targets)
    assert targets is not None
    if targets.is_floating_point() or (batch.targets.is_floating_point() and not is_zero_or_one(batch.targets)):
        return "regression"
    if targets.dtype == torch.bool and targets.ndim == 2:
        return "multilabel"
    if targets.ndim == 2 and _are_inputs(targets, batch.inputs):
        return "next_token"
    return "segmentation" if targets.ndim > 2 else "classification"


def _equal_targets(targets: Tensor | None) -> int:
    """How many targets count, where those that do are all the same; else 0."""
    found = class_numbers(targets)
    if found is None:
        return 0
    known = found[found != IGNORED] if is_integer(found) else found
    return len(found) if len(known) > 1 and bool((known == known[0]).all()) else 0


def _are_inputs(targets: Tensor, inputs: Any) -> bool:
    """Whether the targets are the token ids that go in, but for those that do not count."""
    ids = inputs.get("input_ids") if isinstance(inputs, Mapping) else inputs
    if not isinstance(ids, Tensor) or ids.shape != targets.shape:
        return False
    left_out = targets == IGNORED
    return bool(((ids == targets) | left_out).all() and not left_out.all())
