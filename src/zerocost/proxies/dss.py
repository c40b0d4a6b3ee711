from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import total


@proxy(paper="Zhou et al., TF-TAS, CVPR 2022", group="transformers")
def dss(flow_weights: Tensors, flow_gradients: Tensors, weight_roles: Sequence[str]) -> Tensor:
    r"""Synaptic diversity of attention plus saliency of the other linear layers, for transformers.

    .. math:: \sum_{W \in \text{attention}} \|W\|_* \Bigl\|\frac{\partial R}{\partial W}\Bigr\|_*
              + \sum_{W \in \text{linear}} \sum_k \Bigl|w_k \frac{\partial R}{\partial w_k}\Bigr|

    :math:`R` is the flow of `synflow` and :math:`\|\cdot\|_*` the nuclear norm. Attention's weights are those of the
    module that attends and of the linear layers that are its children; convolutions, such as the patch embedding, do
    not count.

    Args:
        flow_weights: absolute values of the weight matrices.
        flow_gradients: gradient of :math:`R` to each of them.
        weight_roles: attention, linear or other for each of them.

    Returns:
        A positive scalar.

    Raises:
        Failure: the network has no attention.

    >>> import torch
    >>> dss([torch.eye(2), torch.ones(1, 2)], [torch.eye(2), torch.ones(1, 2)], ["attention", "linear"]).item()
    6.0
    """
    if "attention" not in weight_roles:
        raise Failure("needs attention: the network has none that was seen")
    terms = []
    for weight, gradient, role in zip(flow_weights, flow_gradients, weight_roles, strict=True):
        if role == "attention":
            terms.append(torch.linalg.matrix_norm(weight, "nuc") * torch.linalg.matrix_norm(gradient, "nuc"))
        elif role == "linear":
            terms.append((weight * gradient).abs())
    return total(terms)
