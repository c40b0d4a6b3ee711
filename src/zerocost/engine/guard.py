"""Gives the model back as it was: attributes, hooks, mode and plain tensors, also when something raises.

Parameters and buffers need no guarding: passes run the model on copies of them (see `network.py`).
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

Saved = tuple[Any, Any]


@contextmanager
def guard(model: nn.Module) -> Iterator[None]:
    """Undo on exit whatever happens inside the block to the attributes of `model` and its submodules.

    Attributes that were added, changed or removed, registered hooks, train or eval mode, the contents of lists,
    dictionaries and sets, and the values of tensors kept as plain attributes are restored.

    >>> model = nn.Linear(1, 1)
    >>> with guard(model):
    ...     model.eval().seen = [1]
    >>> model.training, hasattr(model, "seen")
    (True, False)
    """
    before = [(vars(module), {k: save(v) for k, v in vars(module).items()}) for module in model.modules()]
    try:
        yield
    finally:
        for attributes, saved in before:
            attributes.clear()
            attributes.update({name: restore(value) for name, value in saved.items()})


def save(value: Any) -> Saved:
    """The object and what is needed to bring its contents back: built-in containers and tensors, else nothing."""
    if isinstance(value, Tensor):
        return value, None if isinstance(value, nn.Parameter) else (value._version, value.detach().clone())
    if isinstance(value, dict):
        return value, [(key, save(item)) for key, item in value.items()]
    if isinstance(value, list | deque):
        return value, [save(item) for item in value]
    if isinstance(value, set):
        return value, copy.copy(value)
    return value, None


def restore(saved: Saved) -> Any:
    """The saved object itself, with its contents put back."""
    value, contents = saved
    if contents is None:
        return value
    if isinstance(value, Tensor):
        version, data = contents
        if value._version != version:
            value.detach().copy_(data)
    elif isinstance(value, dict):
        items = [(key, restore(item)) for key, item in contents]
        value.clear()
        value.update(items)
    elif isinstance(value, set):
        value.clear()
        value.update(contents)
    else:
        items = [restore(item) for item in contents]
        value.clear()
        value.extend(items)
    return value
