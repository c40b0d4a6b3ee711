from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Response
from zerocost.proxies.reduce import check_several, is_singular


@proxy(paper="Jing et al., WRCor, 2025", group="activations")
def wrcor(responses: Sequence[Response]) -> Tensor:
    r"""Weighted response correlation, :math:`\log|\det K|` of :math:`K = \sum_a 2^{l(a)} (|C^A_a| + |C^G_a|)`.

    For each activation :math:`a`, :math:`C^A` are the correlations between samples of its inputs and :math:`C^G` those
    of the loss's gradients to them; :math:`l(a)` is the number of the block it is in, so that later blocks weigh more.
    Correlations of a sample with constant values do not exist: such a matrix is left out. Weights are taken relative to
    the largest before the sum and put back in the logarithm, so that deep networks do not overflow.

    Args:
        responses: correlations N×N and the number of their block.

    Returns:
        A scalar.

    Raises:
        Failure: :math:`K` is singular.

    >>> import torch
    >>> round(wrcor([Response(1, torch.eye(2)), Response(1, torch.eye(2))]).item(), 4)
    2.7726
    """
    there = [(r.block, r.correlation.double().abs()) for r in responses if r.correlation is not None]
    if not there:
        raise Failure("no activation tells the samples apart: all correlations are of constant values")
    check_several(there[0][1])
    last = max(block for block, _ in there)
    kernel = torch.stack([2.0 ** (block - last) * c for block, c in there]).sum(0)
    values: Tensor = torch.linalg.eigvalsh(kernel).abs()
    if is_singular(values):
        raise Failure("the correlation kernel K is singular: the activations do not tell the samples apart")
    return values.log().sum() + len(values) * last * math.log(2)
