"""The metrics that can be named, and how torchmetrics measures them."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from zerocost.base.errors import Failure, unknown
from zerocost.base.units import is_cost
from zerocost.data.targets import class_numbers
from zerocost.engine.losses import IGNORED, as_logits, fit_targets, next_tokens

LOSS = "loss"
"""As a metric: the loss on the validation data."""


class _Known(NamedTuple):
    """A metric that can be named.

    Attributes:
        name: its name in torchmetrics, without "Multiclass" or "Multilabel".
        higher_is_better: its direction, that of torchmetrics.
        share: whether it lies in [0, 1] and is read as a percentage.
        forms: what outputs it can be measured on.
        options: what it is made with.
        least: the least value that it can have.
        most: the greatest one, unless it is a share.
    """

    name: str
    higher_is_better: bool
    share: bool
    forms: tuple[str, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    least: float = 0.0
    most: float = math.inf

    def nearest_possible(self, value: float) -> float:
        """The value that it can have which is nearest to the given one."""
        return min(max(value, self.least), 1.0 if self.share else self.most)


_LABELS, _CLASSES, _NUMBERS = ("multiclass", "multilabel"), ("multiclass", "multilabel", "tokens"), ("numbers",)

METRICS = {
    "accuracy": _Known("Accuracy", True, True, _CLASSES, {"average": "micro"}),
    "auroc": _Known("AUROC", True, True, _LABELS),
    "average_precision": _Known("AveragePrecision", True, True, _LABELS),
    "explained_variance": _Known("ExplainedVariance", True, False, _NUMBERS, least=-math.inf, most=1.0),
    "f1_score": _Known("F1Score", True, True, _LABELS),
    "jaccard_index": _Known("JaccardIndex", True, True, _LABELS),
    "mean_absolute_error": _Known("MeanAbsoluteError", False, False, _NUMBERS),
    "mean_absolute_percentage_error": _Known("MeanAbsolutePercentageError", False, False, _NUMBERS),
    "mean_squared_error": _Known("MeanSquaredError", False, False, _NUMBERS),
    "perplexity": _Known("Perplexity", False, False, ("tokens",), least=1.0),
    "precision": _Known("Precision", True, True, _LABELS, {"average": "macro"}),
    "r2_score": _Known("R2Score", True, False, _NUMBERS, least=-math.inf, most=1.0),
    "recall": _Known("Recall", True, True, _LABELS, {"average": "macro"}),
    "root_mean_squared_error": _Known("MeanSquaredError", False, False, _NUMBERS, {"squared": False}),
    LOSS: _Known("", False, False, (), least=-math.inf),
}
"""By name. Those over classes or labels are means over them, accuracy aside."""


def known_metric(name: str) -> _Known:
    """A metric by its name; `InputError` for an unknown one."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


def is_share(name: str) -> bool:
    """Whether a name is that of a metric in [0, 1], which is read as a percentage."""
    return name in METRICS and METRICS[name].share


def minimised(name: str) -> bool:
    """Whether less of it is better: of costs, whatever the device in front of their names, and of errors.

    >>> minimised("params"), minimised("raspi4_latency"), minimised("mean_squared_error"), minimised("snip")
    (True, True, True, False)
    """
    return is_cost(name) or (name in METRICS and not METRICS[name].higher_is_better)


class Meter:
    """Measures a metric over the batches of an epoch.

    Args:
        metric: a name, or a metric of torchmetrics, which gets outputs and targets as they are, save that axes of one
            do not matter: outputs N×1 come as N where targets do.
        form: what the outputs are: "multiclass", "multilabel", "numbers" or "tokens".

    >>> import torch
    >>> meter = Meter("accuracy", "multiclass")
    >>> meter.update(torch.eye(4), torch.tensor([0, 1, 2, 0]))
    >>> meter.compute()
    0.75
    """

    def __init__(self, metric: Any, form: str) -> None:
        self.given, self.form = metric, form
        self.metric: Any = None if isinstance(metric, str) else metric.clone()

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch."""
        if isinstance(self.given, str):
            outputs, targets = _FORMS[self.form](outputs, targets)
            if self.given == "perplexity":
                outputs, targets = outputs[None], targets[None]
        elif _axes(outputs) == _axes(targets):
            outputs = outputs.reshape(targets.shape)
        if self.metric is None:
            self.metric = _make_metric(self.given, self.form, outputs)
        self.metric = self.metric.to(outputs.device)
        self.metric.update(outputs, targets)

    def compute(self) -> float:
        """The value over all batches since the last call, to the seven digits of float32.

        Raises:
            Failure: it is no single number.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class that is absent from the validation data is left out
            value = self.metric.compute()
        self.metric.reset()
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise Failure(f"metric {type(self.metric).__name__} gave no single number")
        return float(f"{value.item():.7g}")


def _axes(values: Tensor) -> list[int]:
    """The axes that are not of length one."""
    return [length for length in values.shape if length != 1]


def _make_metric(name: str, form: str, outputs: Tensor) -> Any:
    """The metric of torchmetrics for outputs of this shape."""
    known = METRICS[name]
    library = importlib.import_module("torchmetrics.text" if name == "perplexity" else "torchmetrics")
    if form == "numbers":
        return getattr(library, known.name)(**known.options)
    if name == "perplexity":
        return library.Perplexity(ignore_index=IGNORED)
    classification = importlib.import_module("torchmetrics.classification")
    labels = form == "multilabel"
    kind = getattr(classification, f"{'Multilabel' if labels else 'Multiclass'}{known.name}")
    sizes = {"num_labels" if labels else "num_classes": outputs.shape[1 if form != "tokens" else -1]}
    ignored = {} if labels else {"ignore_index": IGNORED}
    return kind(**sizes, **ignored, **known.options, validate_args=False)


def _classes(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Logits N×C×… and class numbers N×…."""
    logits, numbers = as_logits(outputs), class_numbers(targets)
    assert numbers is not None
    return logits, numbers.reshape(len(logits), *logits.shape[2:]).long()


def _labels(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities N×L and labels 0 or 1."""
    return outputs.sigmoid(), fit_targets(outputs, targets).long()


def _numbers(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and targets, a row a sample, a vector where it is one number each."""
    shape = (len(outputs), -1) if outputs[0].numel() > 1 else (len(outputs),)
    return outputs.reshape(shape), fit_targets(outputs, targets).reshape(shape)


def _tokens(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and the tokens that they predict, as a single text."""
    logits, labels = next_tokens(outputs, targets)
    return logits, labels.long()


_FORMS = {"multiclass": _classes, "multilabel": _labels, "numbers": _numbers, "tokens": _tokens}
