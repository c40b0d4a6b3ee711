from __future__ import annotations

from collections.abc import Sequence

from zerocost.engine.proxy import proxy
from zerocost.engine.tape.liveness import MemoryStep


def _peak(steps: Sequence[MemoryStep], width: int) -> int:
    """The most bytes that any step takes."""
    return max((step.live.at(width) for step in steps), default=0)


@proxy(paper="baseline", group="budgets")
def peak_memory(memory_steps: Sequence[MemoryStep]) -> int:
    r"""Bytes that one inference needs at most, on one sample, in float32: inputs and results, without the weights.

    :math:`\max_i \sum_{t \text{ alive at } i} |t|` over the operations :math:`i` in the order in which they run in eval
    mode. A result is alive until nothing reads it any more. A view takes nothing, and a pointwise operation such as
    ReLU, batch normalisation or a sum writes in place of an operand that nothing else reads. This is the working memory
    (SRAM) of a microcontroller that plans its buffers, without what kernels need on top.

    Args:
        memory_steps: what is in memory at each operation.

    Returns:
        A whole number.

    >>> import torch, zerocost as zc
    >>> net = torch.nn.Sequential(torch.nn.Linear(10, 20), torch.nn.ReLU(), torch.nn.Linear(20, 5))
    >>> zc.score(net, torch.zeros(1, 10), "peak_memory")["peak_memory"] == (10 + 20) * 4
    True
    """
    return _peak(memory_steps, 4)


@proxy(paper="baseline", group="budgets")
def peak_memory_fp16(memory_steps: Sequence[MemoryStep]) -> int:
    """`peak_memory` where each floating-point number takes two bytes.

    Args:
        memory_steps: what is in memory at each operation.

    Returns:
        A whole number.
    """
    return _peak(memory_steps, 2)


@proxy(paper="baseline", group="budgets")
def peak_memory_int8(memory_steps: Sequence[MemoryStep]) -> int:
    """`peak_memory` where each floating-point number takes one byte, as in a network quantised to int8.

    Args:
        memory_steps: what is in memory at each operation.

    Returns:
        A whole number.
    """
    return _peak(memory_steps, 1)
