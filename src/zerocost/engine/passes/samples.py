"""Samples pass: the loss of each sample and its gradients, with nothing else in the batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.batch_statistics import FixedBatchNorm, batch_statistics
from zerocost.engine.losses import IGNORED, all_ignored
from zerocost.engine.network import OneValue
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.passes.data import data
from zerocost.engine.passes.loss import NoGradient, loss
from zerocost.engine.passes.shared_graph import SharedGraph
from zerocost.engine.signals import Signal


def _samples(batch: PassInput) -> dict[str, Any]:
    """Sums over the samples of their gradients, and of the gradients' signs; BatchNorm sees one sample at a time.

    Where that leaves a BatchNorm without a variance, each of them has the statistics of the whole batch as constants.
    """
    try:
        return _one_by_one(batch, nullcontext)
    except OneValue:
        recorded = batch_statistics(batch)
        return _one_by_one(batch, lambda: FixedBatchNorm(recorded))


def _one_by_one(batch: PassInput, normalising: Callable[[], AbstractContextManager[Any]]) -> dict[str, Any]:
    """The sums, with each sample run inside a context of its own; one without a gradient adds zeros."""
    sums: list[Tensor] = []
    signs: list[Tensor] = []
    kept: dict[str, Tensor] = {}
    silent: Failure | None = None
    with batch.network.fresh(batch.seed, batch.training):
        for i in range(batch.samples):
            graph = SharedGraph(batch.slice(i, i + 1, frozenset({"weight_gradients"})))
            graph.tensors = kept
            if all_ignored(batch.loss, graph.batch.targets):
                raise Failure(f"a sample of label {IGNORED} has no loss of its own")
            try:
                with normalising():
                    data(graph)
                    gradients = loss(graph)["weight_gradients"]
            except NoGradient as reason:
                silent = reason
                continue
            unchanged = (name for name in batch.network.parameters if graph.tensors[name]._version == 0)
            kept = {name: graph.tensors[name] for name in unchanged}
            if not sums:
                sums, signs = [g.clone() for g in gradients], [g.sign() for g in gradients]
                continue
            for total, sign, gradient in zip(sums, signs, gradients, strict=True):
                total.add_(gradient)
                sign.add_(gradient.sign())
    if silent and not sums:
        raise silent
    return {"sample_gradient_sums": sums, "sample_gradient_signs": signs}


add_pass(
    Pass(
        name="samples",
        run=_samples,
        order=80,
        description="the loss and its gradients on each sample by itself",
        forwards=1,
        backwards=1,
        labels=True,
        by_sample=True,
    ),
    Signal("sample_gradient_signs", "sum over the samples of their gradient's sign, for each weight"),
    Signal("sample_gradient_sums", "sum over the samples of their gradient, for each weight"),
)
