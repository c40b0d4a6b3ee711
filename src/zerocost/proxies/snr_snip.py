from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import signal_to_noise, total


@proxy(paper="Xiao et al., 2023 (T-CET); as in iViolinSolo/zero-cost-proxies", group="gradients of the loss")
def snr_snip(weights: Tensors, weight_gradients: Tensors) -> Tensor:
    r"""Connection sensitivity over its spread by layer, :math:`\sum_l \sum_{k \in l} s_k / \mathrm{std}(s)_l`.

    :math:`s_k = |w_k\,\partial L/\partial w_k|` are the sensitivities of `snip`; std is that of a sample (n − 1). A
    layer of equal sensitivities adds their sum.

    Args:
        weights: weight matrices.
        weight_gradients: gradient of the mean loss to each of them.

    Returns:
        A positive scalar.

    >>> import torch
    >>> round(snr_snip([torch.tensor([[1.0, 2.0]])], [torch.tensor([[1.0, -1.0]])]).item(), 3)
    4.243
    """
    return total(signal_to_noise((w * g).abs_()) for w, g in zip(weights, weight_gradients, strict=True))
