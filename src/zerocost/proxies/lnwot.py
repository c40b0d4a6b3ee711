from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import LayerKernel
from zerocost.proxies.reduce import is_singular


@proxy(paper="Xiao et al., 2023 (T-CET); as in iViolinSolo/zero-cost-proxies", group="activations", mode="eval")
def lnwot(layer_kernels: Sequence[LayerKernel]) -> Tensor:
    r"""Sum over layers of the log-determinant of their activation kernels, :math:`\sum_l \log\det K_l`.

    .. math:: K_l = B_l B_l^T + (1 - B_l)(1 - B_l)^T

    Row :math:`n` of :math:`B_l` holds, for each output of convolution or linear layer :math:`l`, whether it is positive
    on sample :math:`n`; BatchNorm uses its running statistics. A layer whose kernel is singular, because two samples
    share their signs, adds 0, as in the authors' code.

    Args:
        layer_kernels: :math:`K_l` of each layer, N×N.

    Returns:
        A scalar.

    Raises:
        Failure: every layer's kernel is singular.

    >>> import torch
    >>> kernel = LayerKernel(0, torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64))
    >>> round(lnwot([kernel, kernel]).item(), 4)
    2.1972
    """
    values = torch.stack([log_determinant(layer.kernel) for layer in layer_kernels])
    if not bool(values.any()):
        raise Failure("two samples of the batch have the same signs in every layer: all kernels are singular")
    return values.sum()


def log_determinant(kernel: Tensor) -> Tensor:
    """log det of a symmetric positive semi-definite matrix; 0 for a singular one."""
    values = torch.linalg.eigvalsh(kernel)
    return torch.zeros_like(values[0]) if is_singular(values) else values.log().sum()
