from __future__ import annotations

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy


@proxy(paper="baseline", group="size and depth")
def depth(weight_depth: int) -> int:
    r"""Number of convolutions and linear layers on the longest path from input to output.

    A recurrent layer is on it once for each step: T steps of L layers are T + L − 1, in both directions L·T, twice that
    with a projection.

    Args:
        weight_depth: the number.

    Returns:
        A whole number.

    Raises:
        Failure: no layer lies between input and output.

    >>> depth(3)
    3
    """
    if not weight_depth:
        raise Failure("no convolution or linear layer lies between input and output")
    return weight_depth
