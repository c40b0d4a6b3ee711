from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.base.fidelity import Fidelity
from zerocost.engine.proxy import proxy
from zerocost.proxies.reduce import check_several, total


@proxy(
    paper="Mellor et al., 2020 (v1 of NAS Without Training); as in Abdelfattah et al., ICLR 2021",
    group="Jacobians, tangent kernel and Fisher information",
    shrinks_badly=Fidelity(width=0.25, depth=0.5, batch=8),
)
def jacob_cov(input_jacobian: Tensor) -> Tensor:
    r"""Jacobian covariance :math:`-\sum_i \log(\lambda_i + k) + 1/(\lambda_i + k)`, with :math:`k = 10^{-5}`.

    :math:`\lambda` are the eigenvalues of the correlation matrix of the rows of :math:`J`, where row :math:`n` is the
    gradient of the summed outputs to sample :math:`n`. Linear algebra runs in float64 with a symmetric solver. Two
    equal samples in the batch make the value about :math:`-10^5`, by the definition.

    Args:
        input_jacobian: :math:`J`, N×D.

    Returns:
        A negative scalar; larger means that the network tells the samples apart.

    Raises:
        Failure: a row of :math:`J` is constant, so that its correlation with the others does not exist.

    >>> import torch
    >>> round(jacob_cov(torch.tensor([[1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])).item(), 3)
    -2.0
    """
    check_several(input_jacobian)
    jacobian = input_jacobian.double()
    rows = jacobian - jacobian.mean(1, keepdim=True)
    lengths = rows.norm(dim=1, keepdim=True)
    dead = int((jacobian == 0).all(1).sum())
    if dead == len(rows):
        raise Failure("no path from input to output: the outputs do not depend on the input")
    if dead:
        raise Failure(f"the outputs do not depend on {dead} of the {len(rows)} samples")
    constant = lengths <= torch.finfo(input_jacobian.dtype).eps * jacobian.norm(dim=1, keepdim=True)
    if constant.any():
        raise Failure("the outputs depend equally on every input of a sample, which has no correlation with others")
    correlation = (rows / lengths) @ (rows / lengths).T
    shifted = torch.linalg.eigvalsh(correlation).clamp(min=0) + 1e-5
    return -total([shifted.log() + 1 / shifted])
