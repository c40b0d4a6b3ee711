from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import in_pieces, total


@proxy(paper="Wang et al., GraSP, ICLR 2020; sign as in Abdelfattah et al., ICLR 2021", group="gradients of the loss")
def grasp(weights: Tensors, hessian_gradients: Tensors) -> Tensor:
    r"""Gradient flow after pruning :math:`-\sum_k w_k\,(H g)_k`, with :math:`H` the Hessian of the loss.

    The gradient :math:`g` inside :math:`Hg` is held constant and only weight matrices take part, in both. Code bases
    disagree on the sign; this is the sign of Abdelfattah et al. The Hessian-vector product is exact (a backward pass
    through the backward pass), which makes this the most expensive of the gradient proxies.

    Args:
        weights: weight matrices.
        hessian_gradients: :math:`Hg` for each of them, same shapes.

    Returns:
        A scalar of either sign.

    >>> import torch
    >>> grasp([torch.tensor([[1.0, 2.0]])], [torch.tensor([[3.0, -1.0]])]).item()
    -1.0
    """
    return -total(w * hg for w, hg in in_pieces(weights, hessian_gradients))
