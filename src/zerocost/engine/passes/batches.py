"""Batches pass: gradients of the loss on several batches, each by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.memory import measure_batch
from zerocost.engine.passes.batch import IGNORED, PassInput, without_loss


def batches(batch: PassInput) -> dict[str, Any]:
    """Gradients on each batch that was given, or on each part of the only one, cut into `settings.parts`."""
    gradients: list[list[Tensor]] = []
    for one in parts(batch):
        if without_loss(one):
            raise Failure(f"all labels of one of the batches to compare are {IGNORED}: it has no loss")
        found, _ = measure_batch(one, ["data", "loss"], {})
        if isinstance(found["weight_gradients"], Failure):
            raise found["weight_gradients"]
        gradients.append(found["weight_gradients"])
    return {"batch_gradients": [torch.stack(each) for each in zip(*gradients, strict=True)]}


def parts(batch: PassInput) -> list[PassInput]:
    """The batches to compare."""
    wanted = frozenset({"weight_gradients"})
    if batch.further:
        given = [(batch.inputs, batch.targets), *batch.further]
        return [replace(batch, inputs=x, targets=y, wanted=wanted, further=()) for x, y in given]
    count, samples = batch.settings.parts, batch.samples
    if samples < count:
        raise Failure(f"a batch of {samples} cannot be cut into {count} batches to compare")
    bounds = [samples * i // count for i in range(count + 1)]
    return [batch.slice(start, stop, wanted) for start, stop in pairwise(bounds)]
