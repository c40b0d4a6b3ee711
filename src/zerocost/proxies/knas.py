from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import in_pieces, total


@proxy(paper="Xu et al., KNAS, ICML 2021", group="gradients of the loss")
def knas(sample_gradient_sums: Tensors, labels: Tensor) -> Tensor:
    r"""Mean of the Gram matrix of the samples' gradients, :math:`\frac{1}{N^2} \sum_{ij} g_i^T g_j`.

    :math:`g_i` is the gradient of the loss on sample :math:`i` alone, with BatchNorm as in `gradsign`. The mean equals
    :math:`\|\sum_i g_i / N\|^2`, which is how it is computed: all weights take part, where the authors' code takes 100
    of each of 11 tensors, and compares two sets of minibatches in place of samples.

    Args:
        sample_gradient_sums: :math:`\sum_i g_i` for each weight matrix.
        labels: labels of the N samples.

    Returns:
        A positive scalar.

    >>> import torch
    >>> knas([torch.tensor([[3.0, 4.0]])], torch.tensor([0, 1, 0, 1, 0])).item()
    1.0
    """
    return total(g.square() for (g,) in in_pieces(sample_gradient_sums)) / len(labels) ** 2
