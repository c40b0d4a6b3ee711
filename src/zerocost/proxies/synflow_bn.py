from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.synflow import synflow


@proxy(paper="Abdelfattah et al., ICLR 2021", group="synaptic flow", normalisation="kept")
def synflow_bn(flow_weights: Tensors, flow_gradients: Tensors) -> Tensor:
    r"""Synaptic flow with normalisation kept, :math:`\sum_k \bigl|\,|w_k|\,\partial R/\partial |w_k|\,\bigr|`.

    As `synflow`, but BatchNorm normalises with the statistics of the one input of ones, and other normalisation layers
    run as they are. There is little left to measure where a layer's output is normalised; it is here for comparison.

    Args:
        flow_weights: absolute values of the weight matrices.
        flow_gradients: gradient of :math:`R` to each of them.

    Returns:
        A positive scalar.

    Raises:
        Failure: the input of ones has one value a channel at a BatchNorm, or its maps are so nearly constant that the
            flow cancels up to rounding: changing the weights by 1e-14 changes it by more than 1e-6.

    >>> import torch
    >>> synflow_bn([torch.tensor([[1.0, 2.0]])], [torch.tensor([[3.0, -1.0]])]).item()
    5.0
    """
    return synflow(flow_weights, flow_gradients)
