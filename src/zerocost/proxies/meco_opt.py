from __future__ import annotations

import torch
from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.meco import least_eigenvalue


@proxy(paper="Jiang et al., MeCo, NeurIPS 2023", group="features")
def meco_opt(sample_maps: Tensors, *, channels: int = 8) -> Tensor:
    r"""`meco` on a few channels of each layer, :math:`\sum_l \frac{C_l}{n} \lambda_{\min}(P_l^{(n)})`.

    :math:`P_l^{(n)}` is the correlation matrix of :math:`n` of the :math:`C_l` channels, drawn at random; all of them
    where there are fewer. Unlike `meco` it tells layers apart that have more channels than positions.

    Args:
        sample_maps: for each layer C×positions.
        channels: :math:`n`.

    Returns:
        A non-negative scalar.

    >>> import torch
    >>> meco_opt([torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])]).item()
    1.0
    """
    terms = []
    for found in sample_maps:
        drawn = found[torch.randperm(len(found))[:channels].to(found.device)]
        terms.append(least_eigenvalue(drawn) * (len(found) / len(drawn)))
    return torch.stack(terms).sum()
