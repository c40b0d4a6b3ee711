from __future__ import annotations

from torch import Tensor

from zerocost.base.fidelity import Fidelity
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import in_pieces, total


@proxy(
    paper="Lee et al., SNIP, ICLR 2019; summed as in Abdelfattah et al., ICLR 2021",
    group="gradients of the loss",
    shrinks_badly=Fidelity(depth=0.2),
)
def snip(weights: Tensors, weight_gradients: Tensors) -> Tensor:
    r"""Connection sensitivity :math:`\sum_k |w_k\,\partial L/\partial w_k|`.

    How much the loss would change, to first order, if each weight were removed. All weight matrices count. The
    authors' code masks convolution and linear modules only, so on networks with attention its value is smaller: the
    projection matrices are missing from it.

    Args:
        weights: weight matrices.
        weight_gradients: gradient of the mean loss to each of them, same shapes.

    Returns:
        A non-negative scalar, in units of the loss.

    >>> import torch
    >>> snip([torch.tensor([[1.0, -2.0]])], [torch.tensor([[3.0, 0.5]])]).item()
    4.0
    """
    return total((w * g).abs() for w, g in in_pieces(weights, weight_gradients))
