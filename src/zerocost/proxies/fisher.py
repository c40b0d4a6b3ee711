from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from zerocost.base.fidelity import Fidelity
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import ChannelSaliency
from zerocost.proxies.reduce import total


@proxy(
    paper="Theis et al., 2018; Turner et al., BlockSwap, ICLR 2020; as in Abdelfattah et al., ICLR 2021",
    group="gradients of the loss",
    shrinks_badly=Fidelity(depth=0.2),
)
def fisher(channel_saliency: Sequence[ChannelSaliency]) -> Tensor:
    r"""Fisher saliency of the channels, summed over channels and layers.

    .. math:: \sum_l \sum_c \frac{f_l}{2N} \sum_n \Bigl(\sum_p a_{ncp}\,\partial L/\partial a_{ncp}\Bigr)^2

    :math:`a` is the output of convolution or linear layer :math:`l`, :math:`c` its channels, :math:`p` its positions
    (pixels, or tokens, whose channels are the last axis), :math:`L` the mean loss and :math:`f_l` the number of
    weights that feed one channel, over which the authors' code spreads each channel's value before it sums. A layer
    applied several times, as in each step of a recurrent layer, counts once, with its contributions added before
    squaring.

    Args:
        channel_saliency: for each layer the inner sums, N×C, and its :math:`f_l`.

    Returns:
        A non-negative scalar.

    >>> import torch
    >>> fisher([ChannelSaliency(torch.tensor([[1.0], [3.0]]), fan_in=2)]).item()
    5.0
    """
    return total(0.5 * layer.fan_in * layer.values.double().square().mean(0) for layer in channel_saliency)
