from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import total


@proxy(paper="Cavagnero et al., FreeREA, WACV 2023", group="synaptic flow")
def log_synflow(flow_weights: Tensors, flow_gradients: Tensors) -> Tensor:
    r"""Log-scaled synaptic flow :math:`\sum_k |w_k|\,\log\bigl(1 + |\partial R/\partial |w_k||\bigr)`.

    The flow :math:`R` of `synflow`, with each gradient scaled down by a logarithm before the sum, so that depth does
    not drown everything else.

    Args:
        flow_weights: absolute values of the weight matrices.
        flow_gradients: gradient of :math:`R` to each of them.

    Returns:
        A positive scalar.

    >>> import torch
    >>> log_synflow([torch.tensor([[2.0]])], [torch.tensor([[0.0]])]).item()
    0.0
    """
    return total(w * g.abs().log1p() for w, g in zip(flow_weights, flow_gradients, strict=True))
