from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import in_pieces, total


@proxy(paper="Tanaka et al., SynFlow, NeurIPS 2020; as a proxy: Abdelfattah et al., ICLR 2021", group="synaptic flow")
def synflow(flow_weights: Tensors, flow_gradients: Tensors) -> Tensor:
    r"""Synaptic flow :math:`\sum_k \bigl|\,|w_k|\,\partial R/\partial |w_k|\,\bigr|`.

    :math:`R` is the sum of the outputs for one input of ones, every weight, bias and buffer replaced by its absolute
    value and normalisation (and dropout) by the identity; no data is seen. Computed in float64; the value grows
    exponentially with depth, and a network too deep even for float64 is a named failure. `log_synflow` grows slowly.

    Args:
        flow_weights: absolute values of the weight matrices.
        flow_gradients: gradient of :math:`R` to each of them.

    Returns:
        A positive scalar.

    >>> import torch
    >>> synflow([torch.tensor([[1.0, 2.0]])], [torch.tensor([[3.0, 1.0]])]).item()
    5.0
    """
    return total((w * g).abs() for w, g in in_pieces(flow_weights, flow_gradients))
