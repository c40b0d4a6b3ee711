from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import in_pieces, total


@proxy(paper="Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021", group="gradients of the loss")
def plain(weights: Tensors, weight_gradients: Tensors) -> Tensor:
    r"""Signed weight-gradient product :math:`\sum_k w_k\,\partial L/\partial w_k`.

    The baseline of SNIP without absolute values: positive and negative terms cancel, so it ranks poorly and is kept for
    comparison.

    Args:
        weights: weight matrices.
        weight_gradients: gradient of the mean loss to each of them, same shapes.

    Returns:
        A scalar of either sign, in units of the loss.

    >>> import torch
    >>> plain([torch.tensor([[1.0, -2.0]])], [torch.tensor([[3.0, 0.5]])]).item()
    2.0
    """
    return total(w * g for w, g in in_pieces(weights, weight_gradients))
