"""The interval of a Kendall correlation, without resampling."""

from __future__ import annotations

import math

_Z = 1.959963984540054
"""The 97.5th percentile of the normal distribution."""


def kendall_interval(tau: float, n: int) -> tuple[float, float]:
    r"""The 95 % interval of Kendall's τ from a sample of `n`, more than 4, by Fisher's transformation.

    :math:`\operatorname{artanh}\tau \pm 1.96\sqrt{0.437/(n-4)}` (Fieller, Hartley and Pearson, Biometrika 1957). A
    sample without a discordant pair is taken as if it had one, which keeps the interval from closing to a point; it
    still holds τ itself.

    >>> [round(end, 3) for end in kendall_interval(0.8, 60)]
    [0.728, 0.854]
    """
    most = 1 - 4 / (n * (n - 1))
    centre, half = math.atanh(max(-most, min(most, tau))), _Z * math.sqrt(0.437 / (n - 4))
    return min(math.tanh(centre - half), tau), max(math.tanh(centre + half), tau)
