from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import LayerKernel, Tensors
from zerocost.proxies.lnwot import log_determinant
from zerocost.proxies.reduce import flows_to_noise, total


@proxy(paper="Xiao et al., 2023 (T-CET); as in iViolinSolo/zero-cost-proxies", group="activations", mode="eval")
def t_cet(layer_kernels: Sequence[LayerKernel], flow_weights: Tensors, flow_gradients: Tensors) -> Tensor:
    r"""Expressivity times trainability of each layer, :math:`\sum_l \log\det K_l \cdot \mathrm{SNR}_l`.

    :math:`\log\det K_l` is the layer's term of `lnwot`, :math:`\mathrm{SNR}_l` that of `snr_synflow`. Both are taken of
    the same layer; the authors' code pairs the order in which layers run with that in which they are defined.

    Args:
        layer_kernels: :math:`K_l` of each layer, N×N, and which weight matrix it belongs to.
        flow_weights: absolute values of the weight matrices.
        flow_gradients: gradient of the flow to each of them.

    Returns:
        A scalar.

    Raises:
        Failure: no layer has both a kernel that is not singular and a weight matrix of its own.

    >>> import torch
    >>> kernel = LayerKernel(0, torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64))
    >>> round(t_cet([kernel], [torch.tensor([[1.0, 2.0]])], [torch.ones(1, 2)]).item(), 3)
    4.661
    """
    ratios = flows_to_noise(w * g for w, g in zip(flow_weights, flow_gradients, strict=True))
    terms = [log_determinant(k.kernel) * ratios[k.weight] for k in layer_kernels if k.weight is not None]
    if not terms:
        raise Failure("no layer that was seen has a weight matrix of its own")
    if not any(bool(term) for term in terms):
        raise Failure("two samples of the batch have the same signs in every layer: all kernels are singular")
    return total(terms)
