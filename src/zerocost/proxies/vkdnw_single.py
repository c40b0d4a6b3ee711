from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.proxies.vkdnw import vkdnw


@proxy(
    paper="Tybl and Neumann, VKDNW, CVPR 2025",
    group="Jacobians, tangent kernel and Fisher information",
    mode="eval",
    samples=16,
)
def vkdnw_single(fisher_information: Tensor, parameter_tensors: int) -> Tensor:
    r"""Layers first, then the entropy of the Fisher information: :math:`\aleph + \mathrm{VKDNW}`.

    :math:`\aleph` is `layer_count`, a whole number; `vkdnw`, which is below 2.2, orders networks of about as many
    layers. The published numbers were made with the authors' :math:`F`, which is another one: see `vkdnw`.

    Args:
        fisher_information: Fisher information of one element of each parameter tensor, P×P.
        parameter_tensors: :math:`\aleph`.

    Returns:
        A positive scalar.

    >>> import torch
    >>> round(vkdnw_single(torch.eye(20, dtype=torch.float64), 20).item(), 4)
    22.1972
    """
    value: Tensor = parameter_tensors + vkdnw(fisher_information)
    return value
