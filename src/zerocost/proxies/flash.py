from __future__ import annotations

from zerocost.engine.proxy import proxy
from zerocost.engine.tape.operations import Size


@proxy(paper="baseline", group="budgets")
def flash(constant_size: Size) -> int:
    """Bytes of the parameters, buffers and other constants that an inference reads, in float32.

    Each counts once. The code, and what a format of files adds, are not counted.

    Args:
        constant_size: the numbers.

    Returns:
        A whole number.

    >>> flash(Size(10, 0))
    40
    """
    return constant_size.at(4)


@proxy(paper="baseline", group="budgets")
def flash_fp16(constant_size: Size) -> int:
    """`flash` where each floating-point number takes two bytes.

    Args:
        constant_size: the numbers.

    Returns:
        A whole number.

    >>> flash_fp16(Size(10, 0))
    20
    """
    return constant_size.at(2)


@proxy(paper="baseline", group="budgets")
def flash_int8(constant_size: Size) -> int:
    """`flash` where each floating-point number takes one byte; the scales of a quantisation are not counted.

    Args:
        constant_size: the numbers.

    Returns:
        A whole number.

    >>> flash_int8(Size(10, 0))
    10
    """
    return constant_size.at(1)
