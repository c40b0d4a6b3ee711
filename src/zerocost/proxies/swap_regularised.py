from __future__ import annotations

import math

from zerocost.base.errors import Failure, InputError
from zerocost.engine.proxy import proxy


@proxy(paper="Peng et al., SWAP-NAS, ICLR 2024", group="activations")
def swap_regularised(
    pattern_count: int, parameter_count: int, *, mu: float | None = None, sigma: float | None = None
) -> float:
    r"""`swap` times a preference for a size, :math:`\mathrm{SWAP} \cdot \exp(-(P - \mu)^2/\sigma)`.

    :math:`P` is the number of parameters in thousands. :math:`\mu` and :math:`\sigma` have no default: they say which
    size of network is wanted, as in ``swap_regularised(mu=800, sigma=200)``.

    Args:
        pattern_count: the number of different sample-wise patterns.
        parameter_count: number of parameters.
        mu: the wanted size, in thousands.
        sigma: how far from it is acceptable, in thousands squared.

    Returns:
        A non-negative number.

    Raises:
        InputError: `sigma` is not above 0.
        Failure: `mu` or `sigma` is missing, or the size is so far off that the value is 0.

    >>> swap_regularised(256, 800_000, mu=800, sigma=200)
    256.0
    """
    if mu is None or sigma is None:
        raise Failure("needs the wanted size in thousands of parameters: swap_regularised(mu=800, sigma=200)")
    if sigma <= 0:
        raise InputError(f"sigma of swap_regularised must be above 0, got {sigma}")
    value = pattern_count * math.exp(-((parameter_count / 1e3 - mu) ** 2) / sigma)
    if not value:
        raise Failure(f"{parameter_count / 1e3:.6g} thousand parameters are too far from mu={mu}: the value is 0")
    return value
