from __future__ import annotations

import torch
from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors


@proxy(paper="Serianni and Kalita, ACL 2023; after Voita et al., ACL 2019", group="transformers")
def head_confidence(attention_maps: Tensors) -> Tensor:
    r"""Mean over attention layers, heads and tokens of the largest weight that a token gives, :math:`E[\max_j A_{ij}]`.

    :math:`A` are the weights after the softmax. For transformers; needs no labels. The authors' notebook takes the
    maximum over heads, or of the projections over tokens, in its place.

    Args:
        attention_maps: for each attention layer …×T×T.

    Returns:
        A scalar from 0 to 1.

    >>> import torch
    >>> head_confidence([torch.tensor([[[0.5, 0.5], [1.0, 0.0]]])]).item()
    0.75
    """
    return torch.stack([found.double().amax(-1).mean() for found in attention_maps]).mean()
