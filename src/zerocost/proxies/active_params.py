from __future__ import annotations

from zerocost.engine.proxy import proxy


@proxy(paper="Jiang et al., Mixtral of Experts, 2024", group="budgets")
def active_params(active_count: int) -> int:
    r"""Number of parameters that one token meets: of experts those it is sent to, everything else as it is.

    For a network of :math:`k` experts a token out of :math:`E` that is :math:`P - P_E + \frac{k}{E} P_E`, with
    :math:`P_E` the parameters of experts. Tables of embeddings count as a whole, layers that nothing reads not at all.
    Where the inputs are no token ids, or the network does not run on one token, it is the number that one sample meets.

    Args:
        active_count: the number.

    Returns:
        A whole number.

    >>> active_params(10)
    10
    """
    return active_count
