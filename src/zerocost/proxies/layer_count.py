from __future__ import annotations

from zerocost.engine.proxy import proxy


@proxy(paper="Tybl and Neumann, VKDNW, CVPR 2025", group="size and depth")
def layer_count(parameter_tensors: int) -> int:
    r"""Number of parameter tensors, tied ones once, frozen and unused ones too: :math:`\aleph`.

    A baseline that on NAS-Bench-201 ranks better than FLOPs. `depth` counts the layers on the longest path instead.

    Args:
        parameter_tensors: the number.

    Returns:
        A whole number.

    >>> layer_count(4)
    4
    """
    return parameter_tensors
