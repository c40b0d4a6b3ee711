from __future__ import annotations

from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy


@proxy(paper="Shu et al., HNAS, NeurIPS 2022", group="Jacobians, tangent kernel and Fisher information", samples=16)
def ntk_trace(tangent_kernel: Tensor) -> Tensor:
    r"""Trace norm of the neural tangent kernel, :math:`\sqrt{\mathrm{tr}(G G^T)/N}`.

    Row :math:`n` of :math:`G` is the gradient of the summed outputs of sample :math:`n`, so that no labels are needed;
    the authors' code takes the output of the true class alone. Measured on the first 16 samples of the batch.

    Args:
        tangent_kernel: :math:`G G^T`, N×N, float64.

    Returns:
        A positive scalar.

    Raises:
        Failure: the outputs do not depend on the weights.

    >>> import torch
    >>> ntk_trace(torch.tensor([[2.0, 0.0], [0.0, 6.0]], dtype=torch.float64)).item()
    2.0
    """
    trace = tangent_kernel.trace()
    if not trace > 0:
        raise Failure("no path from the weights to the outputs")
    return (trace / len(tangent_kernel)).sqrt()
