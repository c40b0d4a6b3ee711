"""Samples pass: the loss of each sample and its gradients, with nothing else in the batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.batch_statistics import FixedBatchNorm, batch_statistics
from zerocost.engine.failures import OneValue
from zerocost.engine.losses import IGNORED, all_ignored
from zerocost.engine.modes.linear_factors import Factors, LinearCalls, gradients_to
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.passes.data import data
from zerocost.engine.passes.loss import NO_GRADIENT, mean_loss
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
    wanted = {name: of for name, of in _SUMMED.items() if name in batch.wanted}
    sums = [{name: _Sum(of) for name, of in wanted.items()} for _ in batch.network.weight_names]
    kept: dict[str, Tensor] = {}
    silent = True
    with batch.network.fresh(batch.seed, batch.training):
        for i in range(batch.samples):
            graph = SharedGraph(batch.slice(i, i + 1, frozenset({"weight_gradients"})))
            graph.tensors = kept
            if all_ignored(batch.loss, graph.batch.targets):
                raise Failure(f"a sample of label {IGNORED} has no loss of its own")
            with normalising():
                with LinearCalls(most_rows=1) as calls:
                    data(graph)
                sources = calls.sources(mean_loss(graph), graph.weights)
                gradients = gradients_to(graph.loss, sources)
            if not any(map(_is_some, gradients)):
                continue
            silent = False
            unchanged = (name for name in batch.network.parameters if graph.tensors[name]._version == 0)
            kept = {name: graph.tensors[name] for name in unchanged}
            for of_weight, gradient in zip(sums, gradients, strict=True):
                for one in of_weight.values():
                    one.add(gradient)
    if silent:
        raise Failure(NO_GRADIENT)
    return {name: [of_weight[name].value() for of_weight in sums] for name in wanted}


class _Sum:
    """Sum over the samples of a function of the gradient to one weight; it is the same for a product and its factors.

    Args:
        of: the function.
    """

    def __init__(self, of: Callable[[Tensor], Tensor]) -> None:
        self.of = of
        self.total: Tensor | None = None
        self.factors: list[Factors] = []

    def add(self, gradient: Tensor | Factors) -> None:
        if isinstance(gradient, Factors):
            self.factors.append(Factors(*map(self.of, gradient)))
            return
        self.total = torch.zeros_like(gradient) if self.total is None else self.total
        self.total.add_(self.of(gradient))

    def value(self) -> Tensor:
        """The sum of what was added; of all products of one row each, it is one product."""
        found = [] if self.total is None else [self.total]
        if self.factors:
            outputs, inputs = (torch.cat(parts) for parts in zip(*self.factors, strict=True))
            found.append(outputs.T @ inputs)
        return found[0] if len(found) == 1 else found[0] + found[1]


def _is_some(gradient: Tensor | Factors) -> bool:
    """Whether a gradient is not zero."""
    return all(bool(factor.any()) for factor in ([gradient] if isinstance(gradient, Tensor) else gradient))


_SUMMED: dict[str, Callable[[Tensor], Tensor]] = {
    "sample_gradient_sums": torch.positive,
    "sample_gradient_signs": torch.sign,
}


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
