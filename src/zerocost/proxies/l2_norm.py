from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import total


@proxy(paper="Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021", group="size and depth")
def l2_norm(weights: Tensors) -> Tensor:
    r"""Weight norm :math:`\sum_l \lVert W_l\rVert_2`, summed over weight matrices.

    Depends on the initialisation scheme and the size of the network alone; no data is seen.

    Args:
        weights: weight matrices.

    Returns:
        A non-negative scalar.

    >>> import torch
    >>> l2_norm([torch.tensor([[3.0, 4.0]])]).item()
    5.0
    """
    return total(w.norm() for w in weights)
