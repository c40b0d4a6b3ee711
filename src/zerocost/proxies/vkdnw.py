from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy


@proxy(
    paper="Tybl and Neumann, VKDNW, CVPR 2025",
    group="Jacobians, tangent kernel and Fisher information",
    mode="eval",
    samples=16,
)
def vkdnw(fisher_information: Tensor) -> Tensor:
    r"""Entropy of the spectrum of the Fisher information, :math:`-\sum_i q_i \log q_i`.

    :math:`q_i` are the nine deciles of the eigenvalues of :math:`F`, divided by their sum.
    :math:`F = E_n[J_n^T (\mathrm{diag}(p_n) - p_n p_n^T) J_n]`, with :math:`J_n` the Jacobian of the logits of sample
    :math:`n` to one element of each of the first 128 parameter tensors and :math:`p_n` their softmax mixed with 5 % of
    the uniform distribution. BatchNorm uses its running statistics. The authors' code multiplies by the Cholesky factor
    where its transpose belongs, so that its :math:`F` is not the Fisher information. Measured on the first 16 samples.

    Args:
        fisher_information: :math:`F`, P×P.

    Returns:
        A scalar from 0 to log 9.

    Raises:
        Failure: the outputs depend on none of the elements.

    >>> import torch
    >>> round(vkdnw(torch.eye(20, dtype=torch.float64)).item(), 4)
    2.1972
    """
    values: Tensor = torch.linalg.eigvalsh(fisher_information).clamp(min=0)
    steps = torch.linspace(0.1, 0.9, 9, dtype=values.dtype, device=values.device)
    deciles = values.quantile(steps)
    if not bool(deciles[-1] > 0):
        raise Failure("the Fisher information is 0 but for at most a tenth of its eigenvalues")
    shares = deciles / (deciles.sum() + 1e-10)
    return -(shares * (shares + 1e-10).log()).sum()
