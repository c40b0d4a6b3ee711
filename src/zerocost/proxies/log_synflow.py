from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import in_pieces, total


@proxy(paper="Cavagnero et al., FreeREA, WACV 2023", group="synaptic flow")
def log_synflow(flow_weights: Tensors, flow_mantissas: Tensors, flow_exponents: Sequence[int] = ()) -> Tensor:
    r"""Log-scaled synaptic flow :math:`\sum_k |w_k|\,\log\bigl(1 + |\partial R/\partial |w_k||\bigr)`.

    The flow :math:`R` of `synflow`, with each gradient scaled down by a logarithm before the sum, so that depth does
    not drown everything else. The logarithms are finite where :math:`R` itself overflows float64, as in networks of
    hundreds of layers.

    Args:
        flow_weights: absolute values of the weight matrices.
        flow_mantissas: gradient of :math:`R` to each of them, over a power of two.
        flow_exponents: the exponents of those powers, by default 0.

    Returns:
        A positive scalar.

    >>> import torch
    >>> log_synflow([torch.tensor([[2.0]])], [torch.tensor([[0.0]])]).item()
    0.0
    """
    exponents = flow_exponents or [0] * len(flow_weights)
    layers = zip(flow_weights, flow_mantissas, exponents, strict=True)
    return total(w * _log1p(g.abs(), e) for weight, flow, e in layers for w, g in in_pieces([weight], [flow]))


def _log1p(values: Tensor, exponent: int) -> Tensor:
    """log(1 + v·2^exponent)."""
    return values.log1p() if not exponent else (values.log() + exponent * math.log(2)).logaddexp(values.new_zeros(()))
