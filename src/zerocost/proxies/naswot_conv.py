from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import LayerKernel
from zerocost.proxies.naswot import naswot


@proxy(paper="Xiao et al., 2023 (T-CET); as in iViolinSolo/zero-cost-proxies", group="activations", mode="eval")
def naswot_conv(layer_kernels: Sequence[LayerKernel]) -> Tensor:
    r"""`naswot` on the outputs of layers instead of the inputs of activations, :math:`\log|\det \sum_l K_l|`.

    :math:`K_l` is the activation kernel of `lnwot`: for each pair of samples, how many outputs of convolution or linear
    layer :math:`l` agree in sign, with BatchNorm's running statistics. Needs no activation function.

    Args:
        layer_kernels: :math:`K_l` of each layer, N×N.

    Returns:
        A scalar.

    Raises:
        Failure: the sum is singular, as when two samples share all their signs.

    >>> import torch
    >>> kernel = LayerKernel(0, torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64))
    >>> round(naswot_conv([kernel]).item(), 4)
    1.0986
    """
    value: Tensor = naswot(sum(layer.kernel for layer in layer_kernels))  # type: ignore[arg-type]
    return value
