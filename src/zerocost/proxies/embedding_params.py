from __future__ import annotations

from zerocost.engine.proxy import proxy


@proxy(paper="baseline", group="budgets")
def embedding_params(parameter_count: int, non_embedding_count: int) -> int:
    """Number of parameters in the tables of embedding layers, tied ones once: what `non_embedding_params` leaves out.

    Args:
        parameter_count: the number of all parameters.
        non_embedding_count: the number of the others.

    Returns:
        A whole number, 0 without such layers.

    >>> embedding_params(10, 7)
    3
    """
    return parameter_count - non_embedding_count
