from __future__ import annotations

from zerocost.engine.proxy import proxy


@proxy(paper="baseline", group="size and depth")
def params(parameter_count: int) -> int:
    r"""Number of parameters, biases and normalisation included, tied ones once, frozen and unused ones too.

    Args:
        parameter_count: the count.

    Returns:
        A non-negative integer.

    >>> params(10)
    10
    """
    return parameter_count
