"""Samples pass: the loss of each sample and its gradients, with nothing else in the batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.passes.batch import IGNORED, Part, PassInput, data, loss, without_loss


def samples(batch: PassInput) -> dict[str, Any]:
    """Sums over the samples of their gradients, and of the gradients' signs; BatchNorm sees one sample at a time."""
    sums: list[Tensor] = []
    signs: list[Tensor] = []
    with batch.network.fresh(batch.seed, batch.training):
        for i in range(batch.samples):
            part = Part(batch.slice(i, i + 1, frozenset({"weight_gradients"})))
            if without_loss(part.batch):
                raise Failure(f"a sample of label {IGNORED} has no loss of its own")
            data(part)
            gradients = loss(part)["weight_gradients"]
            if not sums:
                sums, signs = [g.clone() for g in gradients], [g.sign() for g in gradients]
                continue
            for total, sign, gradient in zip(sums, signs, gradients, strict=True):
                total.add_(gradient)
                sign.add_(gradient.sign())
    return {"sample_gradient_sums": sums, "sample_gradient_signs": signs}
