"""Spaces of architectures: those shipped, by name, and your own, from a plain function of choices."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import FULL, Fidelity
from zerocost.base.resize import resize
from zerocost.spaces import (
    bert,
    cnn,
    darts,
    gpt,
    macro,
    mlp,
    nasbench101,
    nasbench201,
    nats_size,
    pit,
    tcn,
    transnas,
    vit,
)
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

SPACES: dict[str, Callable[..., SearchSpace]] = {
    "bert": bert.space,
    "cnn": cnn.space,
    "darts": darts.space,
    "gpt": gpt.space,
    "macro": macro.space,
    "mlp": mlp.space,
    "nasbench101": nasbench101.space,
    "nasbench201": nasbench201.space,
    "nats_size": nats_size.space,
    "pit": pit.space,
    "tcn": tcn.space,
    "transnas_macro": transnas.macro,
    "transnas_micro": transnas.micro,
    "vit": vit.space,
}


def names() -> list[str]:
    """The names that `get` knows.

    >>> names()[:4]
    ['bert', 'cnn', 'darts', 'gpt']
    """
    return sorted(SPACES)


def get(name: str, **sizes: Any) -> SearchSpace:
    """The shipped space `name`, made for inputs and outputs of these sizes.

    Args:
        name: one of `names`.
        **sizes: what the space takes: `classes`, `in_channels` and `resolution` for spaces of images, 10, 3 and 32
            unless given (100, 3 and 224 for `vit` and `pit`); `features`, `outputs` and `categories` for `mlp`;
            `features` and `outputs` for `tcn`; `vocabulary` for `gpt` and `bert`, with `scale` and `classes`.

    Raises:
        InputError: an unknown name, or sizes that the space does not have.

    >>> get("cnn", classes=100).size
    89280
    >>> get("mlp", features=10, outputs=1).size
    3960
    """
    if not isinstance(name, str):
        raise InputError(f"name must be that of a space, such as 'cnn', but got {name!r}")
    if name not in SPACES and name.endswith(".py"):
        raise InputError(f"a space of your own is given as FILE.py:NAME, such as {name}:space, but got {name!r}")
    if name not in SPACES:
        raise unknown("space", name, SPACES, "zc.spaces.names()")
    signature = inspect.signature(SPACES[name])
    if strange := [size for size in sizes if size not in signature.parameters]:
        known = ", ".join(signature.parameters)
        raise InputError(f"space {name} has no {', '.join(strange)}; its sizes are {known}")
    given = signature.bind(**sizes)
    given.apply_defaults()
    space = SPACES[name](**sizes)
    space.built_for = given.arguments
    return space
