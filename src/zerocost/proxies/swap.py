from __future__ import annotations

from zerocost.base.fidelity import Fidelity
from zerocost.engine.proxy import proxy


@proxy(paper="Peng et al., SWAP-NAS, ICLR 2024", group="activations", shrinks_badly=Fidelity(batch=8))
def swap(pattern_count: int) -> int:
    r"""Number of sample-wise activation patterns: of different columns of the samples × units matrix of signs.

    A unit's pattern says on which samples of the batch it is active. With N samples there are at most :math:`2^N`,
    which small batches reach: take 16 or more. Every activation counts, where the authors' code sees `nn.ReLU` on
    images alone.

    Args:
        pattern_count: the number of different patterns.

    Returns:
        A whole number.

    >>> swap(256)
    256
    """
    return pattern_count
