from __future__ import annotations

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy


@proxy(paper="Javaheripi et al., LiteTransformerSearch, NeurIPS 2022", group="size and depth")
def non_embedding_params(non_embedding_count: int) -> int:
    r"""Number of parameters outside the tables of embedding layers, tied ones once, frozen and unused ones too.

    The baseline for language models, whose tables say more about the vocabulary than about the network. An output layer
    that shares its weight with a table is not counted either.

    Args:
        non_embedding_count: the number.

    Returns:
        A positive whole number.

    Raises:
        Failure: there are no such parameters.

    >>> non_embedding_params(10)
    10
    """
    if not non_embedding_count:
        raise Failure("the network has no parameters but embeddings")
    return non_embedding_count
