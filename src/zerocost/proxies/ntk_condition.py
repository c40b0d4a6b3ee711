from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.proxies.reduce import check_several, is_singular


@proxy(
    paper="Chen et al., TE-NAS, ICLR 2021",
    group="Jacobians, tangent kernel and Fisher information",
    higher_is_better=False,
    samples=16,
)
def ntk_condition(tangent_kernel: Tensor) -> Tensor:
    r"""Condition number of the tangent kernel :math:`G G^T`, :math:`\lambda_{\max}/\lambda_{\min}`; lower is better.

    Row :math:`n` of :math:`G` is the gradient of the summed outputs of sample :math:`n` to all weights and
    normalisation scales, with BatchNorm in train mode. Measured on the first 16 samples of the batch (setting
    `samples`), since each costs a backward pass; the score is the condition number negated.

    Args:
        tangent_kernel: :math:`G G^T`, N×N, float64.

    Returns:
        A scalar of at least 1.

    Raises:
        Failure: the kernel is singular to working precision.

    >>> import torch
    >>> ntk_condition(torch.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=torch.float64)).item()
    2.0
    """
    check_several(tangent_kernel)
    values: Tensor = torch.linalg.eigvalsh(tangent_kernel)
    if is_singular(values):
        raise Failure("the tangent kernel is singular: some samples' gradients depend on the others'")
    return values[-1] / values[0]
