"""Spaces of architectures: those shipped, by name, and your own, from a plain function of choices."""

from __future__ import annotations

from zerocost.base.errors import unknown
from zerocost.base.fidelity import FULL, Fidelity, resize
from zerocost.spaces import cnn, darts, macro, nasbench101, nasbench201, nats_size, transnas
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace, distinct
from zerocost.spaces.choices import ChoiceSpace, from_function
from zerocost.spaces.choose import Choose

__all__ = [
    "FULL",
    "SPACES",
    "Architecture",
    "ChoiceSpace",
    "Choose",
    "Fidelity",
    "SearchSpace",
    "distinct",
    "from_function",
    "get",
    "names",
    "resize",
]

SPACES = {
    "cnn": cnn.space,
    "darts": darts.space,
    "macro": macro.space,
    "nasbench101": nasbench101.space,
    "nasbench201": nasbench201.space,
    "nats_size": nats_size.space,
    "transnas_macro": transnas.macro,
    "transnas_micro": transnas.micro,
}


def names() -> list[str]:
    """The names that `get` knows.

    >>> names()
    ['cnn', 'darts', 'macro', 'nasbench101', 'nasbench201', 'nats_size', 'transnas_macro', 'transnas_micro']
    """
    return sorted(SPACES)


def get(name: str, *, classes: int = 10, in_channels: int = 3, resolution: int = 32) -> SearchSpace:
    """The shipped space `name`, for images of `in_channels` × `resolution` × `resolution` in `classes` classes.

    Raises:
        InputError: an unknown name.

    >>> get("cnn", classes=100).size
    89280
    """
    if name not in SPACES:
        raise unknown("space", name, SPACES, "zc.spaces.names()")
    return SPACES[name](classes=classes, in_channels=in_channels, resolution=resolution)
