from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import in_pieces, total


@proxy(paper="Zhang and Jia, GradSign, ICLR 2022", group="gradients of the loss")
def gradsign(sample_gradient_signs: Tensors) -> Tensor:
    r"""Agreement of the samples on where to go, :math:`\frac{1}{K} \sum_k |\sum_n \mathrm{sign}(g_{nk})|`.

    :math:`g_{nk}` is the gradient of the loss on sample :math:`n` alone to weight :math:`k` of :math:`K`; in train mode
    BatchNorm sees that one sample. Where one would see a single value a channel (in an MLP, after global pooling),
    every BatchNorm has the statistics of the whole batch, as constants. Weights without a gradient count as zeros.

    Args:
        sample_gradient_signs: the inner sums, for each weight matrix.

    Returns:
        A scalar from 0 to the number of samples.

    >>> import torch
    >>> gradsign([torch.tensor([[2.0, -4.0]])]).item()
    3.0
    """
    return total(s.abs() for (s,) in in_pieces(sample_gradient_signs)) / sum(s.numel() for s in sample_gradient_signs)
