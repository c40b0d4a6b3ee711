"""Adapters for models of other libraries: they recognise and score them. Integrations register theirs here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from zerocost.data import Batch
from zerocost.engine.plan import Plan
from zerocost.scoring.card import ScoreCard
from zerocost.tasks import Task


class Adapter(NamedTuple):
    """How models of another library are scored.

    Attributes:
        accepts: whether a value is such a model.
        evaluate: runs a plan on one, as `zerocost.scoring.score.score_batches` does on a torch module.
    """

    accepts: Callable[[Any], bool]
    evaluate: Callable[[Any, Sequence[Batch], Plan, Task, int], ScoreCard]


ADAPTERS: list[Adapter] = []


def find_adapter(model: Any) -> Adapter | None:
    """The adapter that accepts a model; None for one that is scored as it is.

    >>> find_adapter("a string") is None
    True
    """
    return next((adapter for adapter in ADAPTERS if adapter.accepts(model)), None)
