from __future__ import annotations

from zerocost.base.whole import check_whole
from zerocost.engine.proxy import proxy
from zerocost.engine.tape.operations import Size


@proxy(paper="Rajbhandari et al., ZeRO, SC 2020", group="budgets")
def training_memory(parameter_count: int, kept_size: Size, *, batch: int = 1) -> int:
    r"""Bytes that training by Adam takes in float32: :math:`16 P + n A`.

    The :math:`P` parameters, frozen ones too, their gradients and two moments of each, and for each of the :math:`n`
    samples of a batch the :math:`A` bytes that autograd keeps for the backward pass. What kernels need on top, and the
    allocator, are not counted.

    Args:
        parameter_count: the number of parameters.
        kept_size: what is kept of one sample.
        batch: samples in a batch.

    Returns:
        A whole number.

    Raises:
        InputError: a batch below 1.

    >>> training_memory(10, Size(5, 0), batch=2)
    200
    """
    check_whole("batch of training_memory", batch)
    return 16 * parameter_count + batch * kept_size.at(4)
