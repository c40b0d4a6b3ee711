from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import LayerSize, Tensors
from zerocost.proxies.zico import zico


@proxy(paper="Tran et al., ZiCo-BC, ICCV Workshops 2023", group="gradients of the loss")
def zico_bc(batch_gradients: Tensors, layer_sizes: Sequence[LayerSize], *, beta: float = 1.0) -> Tensor:
    r"""`zico` without its liking for many thin layers, :math:`\mathrm{ZiCo} - \beta \sum_l \log(H_l W_l / \sqrt{C_l})`.

    :math:`H_l W_l` are the positions and :math:`C_l` the channels of the output of convolution or linear layer
    :math:`l`. The paper takes :math:`\beta = 1` for classification and detection and 2 for segmentation.

    Args:
        batch_gradients: for each weight matrix the gradients on B batches, B×….
        layer_sizes: positions and channels of each layer's output on one sample.
        beta: weight of the correction.

    Returns:
        A scalar.

    >>> import torch
    >>> round(zico_bc([torch.tensor([[[1.0, 2.0]], [[3.0, 2.0]]])], [LayerSize(positions=8, channels=4)]).item(), 4)
    -0.6931
    """
    correction = sum(math.log(layer.positions / math.sqrt(layer.channels)) for layer in layer_sizes)
    value: Tensor = zico(batch_gradients) - beta * correction
    return value
