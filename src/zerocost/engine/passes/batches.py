"""Batches pass: gradients of the loss on several batches, each by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.losses import IGNORED, all_ignored
from zerocost.engine.memory import measure_batch
from zerocost.engine.passes.base import OF_BATCH, Pass, PassInput, add_pass
from zerocost.engine.signals import Signal


def _batches(batch: PassInput) -> dict[str, Any]:
    """Gradients on each batch that was given, or on each part of the only one, cut into `settings.parts`."""
    compared = _batches_to_compare(batch)
    gradients: list[Tensor] = []
    for i, one in enumerate(compared):
        if all_ignored(one.loss, one.targets):
            raise Failure(f"all labels of one of the batches to compare are {IGNORED}: it has no loss")
        found, _ = measure_batch(one, ["data", "loss"], {})
        if isinstance(found["weight_gradients"], Failure):
            raise found["weight_gradients"]
        gradients = gradients or [g.new_empty(len(compared), *g.shape) for g in found["weight_gradients"]]
        for kept, gradient in zip(gradients, found.pop("weight_gradients"), strict=True):
            kept[i] = gradient
    return {"batch_gradients": gradients}


def _batches_to_compare(batch: PassInput) -> list[PassInput]:
    """The batches to compare."""
    wanted = frozenset({"weight_gradients"})
    if batch.other_batches:
        given = [(batch.inputs, batch.targets), *batch.other_batches]
        return [replace(batch, inputs=x, targets=y, wanted=wanted, other_batches=()) for x, y in given]
    count, samples = batch.settings.parts, batch.samples
    if samples < count:
        raise Failure(f"a batch of {samples} cannot be cut into {count} batches to compare")
    bounds = [samples * i // count for i in range(count + 1)]
    return [batch.slice(start, stop, wanted) for start, stop in pairwise(bounds)]


add_pass(
    Pass(
        name="batches",
        run=_batches,
        order=70,
        description="the loss and its gradients on each part of the batch",
        settings=OF_BATCH | {"parts"},
        forwards=1,
        backwards=1,
        labels=True,
        by_sample=True,
    ),
    Signal("batch_gradients", "gradients of the loss on each part of the batch: for each weight, B×…"),
)
