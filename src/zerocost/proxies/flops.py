from __future__ import annotations

from zerocost.engine.proxy import proxy


@proxy(paper="baseline", group="size and depth")
def flops(multiply_adds: int) -> int:
    r"""Multiply-adds of one forward pass on one sample at the size of the batch's inputs.

    The products of convolutions, linear layers and attention; additions of biases, normalisation, activations and
    pooling are not counted. One multiply-add is one unit (some papers count it as two FLOPs).

    Args:
        multiply_adds: the count.

    Returns:
        A non-negative integer.

    >>> flops(10)
    10
    """
    return multiply_adds
