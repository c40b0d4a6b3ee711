from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.whole import check_whole
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

    Raises:
        InputError: fewer than one channel.

    >>> import torch
    >>> meco_opt([torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])]).item()
    1.0
    """
    check_whole("channels of meco_opt", channels)
    drawn: dict[torch.Size, list[Tensor]] = {}
    factors: dict[torch.Size, list[float]] = {}
    for found in sample_maps:
        few = found[torch.randperm(len(found))[:channels].to(found.device)]
        drawn.setdefault(few.shape, []).append(few)
        factors.setdefault(few.shape, []).append(len(found) / len(few))
    least = {shape: least_eigenvalue(torch.stack(equal)) for shape, equal in drawn.items()}  # far quicker than each
    return torch.stack([values @ values.new_tensor(factors[shape]) for shape, values in least.items()]).sum()
