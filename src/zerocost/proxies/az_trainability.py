from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.base.fidelity import Fidelity
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors


@proxy(paper="Lee and Ham, AZ-NAS, CVPR 2024", group="features", shrinks_badly=Fidelity(depth=0.5, batch=8))
def az_trainability(block_gains: Tensors) -> Tensor:
    r"""How well gradients keep their size through the blocks, :math:`\frac{1}{B}\sum_b (2 - \sigma_b - 1/\sigma_b)`.

    :math:`\sigma_b` is the largest singular value of :math:`E[g_{in}\,g_{out}^T]`, where :math:`g_{out}` are random
    signs at the output of block :math:`b` and :math:`g_{in}` their gradient at its input, over samples and positions. 0
    is best: gradients pass unchanged.

    The authors' code adds :math:`10^{-6}` to the last denominator, as ours does.

    Args:
        block_gains: :math:`\sigma_b` for each block but the first.

    Returns:
        A scalar, 0 at most but for that.

    Raises:
        Failure: no gradient passes a block.

    >>> import torch
    >>> round(az_trainability([torch.tensor(1.0), torch.tensor(2.0)]).item(), 3)
    -0.25
    """
    gains = torch.stack(list(block_gains)).double()
    if not bool((gains > 0).all()):
        raise Failure("no gradient passes one of the blocks")
    return (2 - gains - 1 / (gains + 1e-6)).mean()
