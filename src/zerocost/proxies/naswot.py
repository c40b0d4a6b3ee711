from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.proxies.reduce import check_several, is_singular, total


@proxy(paper="Mellor et al., Neural Architecture Search without Training, ICML 2021", group="activations")
def naswot(activation_kernel: Tensor) -> Tensor:
    r"""Log-determinant of the activation kernel, :math:`\log|\det K|`.

    .. math:: K = \sum_l B_l B_l^T + (1 - B_l)(1 - B_l)^T

    Row :math:`n` of :math:`B_l` holds, for each unit of activation :math:`l`, whether its input was positive on
    sample :math:`n`. Activations count wherever they happen, as module, function or method, in place or not: the
    ReLU family, and the smooth rectifiers (GELU, SiLU, ELU, …) by the sign of their input. The authors' code looks
    for modules with "ReLU" in the name of their class and gives −∞ to networks without any.

    Args:
        activation_kernel: :math:`K`, N×N, float64.

    Returns:
        A scalar; larger means that the network tells the samples apart.

    Raises:
        Failure: :math:`K` is singular, as when two samples share all their activation signs.

    >>> import torch
    >>> round(naswot(torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)).item(), 4)
    1.0986
    """
    check_several(activation_kernel)
    values = torch.linalg.eigvalsh(activation_kernel)
    if is_singular(values):
        raise Failure(_describe_singular(activation_kernel))
    return total([values.log()])


def _describe_singular(kernel: Tensor) -> str:
    units = kernel[0, 0]
    twins = (kernel == units).triu(1).nonzero()
    if len(twins):
        first, second = twins[0].tolist()
        return f"samples {first} and {second} of the batch have the same sign at every activation: K is singular"
    return "the activation kernel K is singular: too few activations tell the samples apart"
