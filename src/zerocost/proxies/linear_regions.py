from __future__ import annotations

from torch import Tensor

from zerocost.engine.proxy import proxy


@proxy(paper="Chen et al., TE-NAS, ICLR 2021", group="activations")
def linear_regions(activation_kernel: Tensor) -> Tensor:
    r"""Number of linear regions that the samples fall into: of different sign patterns among them.

    Two samples are in the same region when every activation has the same sign on both. On real images almost every
    sample has a region of its own, so that the value is the batch size; the paper scores thin networks on 3×3 patches.

    Args:
        activation_kernel: for each pair of samples, how many activations agree in sign, N×N.

    Returns:
        A whole number from 1 to N.

    >>> import torch
    >>> linear_regions(torch.tensor([[5.0, 5.0, 2.0], [5.0, 5.0, 2.0], [2.0, 2.0, 5.0]])).item()
    2
    """
    same = activation_kernel == activation_kernel.diagonal()
    return (~same.tril(-1).any(1)).sum()
