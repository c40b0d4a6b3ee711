from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import flows_to_noise, total


@proxy(paper="Xiao et al., 2023 (T-CET); as in iViolinSolo/zero-cost-proxies", group="synaptic flow")
def snr_synflow(flow_weights: Tensors, flow_gradients: Tensors) -> Tensor:
    r"""Synaptic flow over its spread by layer, :math:`\sum_l \sum_{k \in l} s_k / \mathrm{std}(s)_l`.

    :math:`s_k = |\,|w_k|\,\partial R/\partial |w_k|\,|` are the saliencies of `synflow`; std is that of a sample (n −
    1). A layer of equal saliencies adds their sum, one whose saliencies are rounding errors nothing.

    Args:
        flow_weights: absolute values of the weight matrices.
        flow_gradients: gradient of :math:`R` to each of them.

    Returns:
        A positive scalar.

    >>> import torch
    >>> round(snr_synflow([torch.tensor([[1.0, 2.0]])], [torch.tensor([[1.0, 1.0]])]).item(), 3)
    4.243
    """
    return total(flows_to_noise(w * g for w, g in zip(flow_weights, flow_gradients, strict=True)))
