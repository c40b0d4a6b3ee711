from __future__ import annotations

import torch
from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.meco import least_eigenvalue


@proxy(paper="Jiang et al., MeCo, NeurIPS 2023", group="features")
def meco_modules(module_maps: Tensors) -> Tensor:
    r"""`meco` as its authors count: over the output of every module, :math:`\sum_m \lambda_{\min}(P_m)`.

    Modules inside modules and the network itself are included, so that a map counts as often as there are modules that
    return it, and activations that are functions are not seen.

    Args:
        module_maps: for each module C×positions.

    Returns:
        A non-negative scalar.

    >>> import torch
    >>> meco_modules([torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])]).item()
    1.0
    """
    return torch.stack([least_eigenvalue(found) for found in module_maps]).sum()
