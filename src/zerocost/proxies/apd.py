from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors


@proxy(paper="Kang et al., APD, NeurIPS 2025", group="features")
def apd(batch_norm_norms: Tensors, weights: Tensors) -> Tensor:
    r"""Stable rank of normalised features times sparsity of filters, as found by a language model.

    .. math:: \sum_b \frac{\|M_b\|_F^2}{\|M_b\|_2^2 + 10^{-6}} \cdot
              \sum_l \frac{E_f \|W_{lf}\|_1}{E_f \|W_{lf}\|_2}

    :math:`M_b` is the output of BatchNorm :math:`b` with samples and positions in rows, :math:`\|\cdot\|_2` its largest
    singular value, and :math:`W_{lf}` filter :math:`f` of convolution :math:`l`.

    Args:
        batch_norm_norms: :math:`\|M_b\|_F, \|M_b\|_2` for each BatchNorm.
        weights: weight matrices; convolutions are those of three or more axes.

    Returns:
        A positive scalar.

    Raises:
        Failure: the network has no convolution.

    >>> import torch
    >>> round(apd([torch.tensor([2.0, 1.0]).sqrt()], [torch.ones(2, 1, 2, 2)]).item(), 4)
    4.0
    """
    filters = [w.double().flatten(1) for w in weights if w.ndim > 2]
    if not filters:
        raise Failure("needs convolutions: the network has none")
    ranks = torch.stack([(n[0] ** 2) / (n[1] ** 2 + 1e-6) for n in batch_norm_norms]).sum()
    ratios = torch.stack([f.norm(p=1, dim=1).mean() / f.norm(dim=1).mean() for f in filters]).sum()
    return ranks * ratios
