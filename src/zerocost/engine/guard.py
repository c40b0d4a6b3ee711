"""Gives the model back as it was, and knows every place in it where one of its tensors is kept."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable, Container
from functools import lru_cache
from operator import is_
from types import FunctionType, NoneType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class _Place(NamedTuple):
    """Where a tensor is kept: `holder[key] is tensor`, the holder a dictionary or a list."""

    holder: Any
    key: Any
    tensor: Tensor


class _SaveMethod(NamedTuple):
    """How the contents of a mutable value are saved, and how they are put back."""

    save: Callable[[Any], Any]
    put_back: Callable[[Any, Any], object]


class Snapshot:
    """Everything mutable that hangs on a model's attributes, its submodules' included: dictionaries (of parameters,
    hooks, anything), lists, sets, tensors, arrays and random generators. What other objects hold is not looked into.

    Args:
        model: the model.
        copied: ids of tensors that are not saved, because passes run on copies of them.

    Attributes:
        places: each place where a tensor is kept.

    >>> model = nn.Linear(1, 1)
    >>> anatomy = Snapshot(model)
    >>> model.eval().seen = [1]
    >>> anatomy.put_back()
    >>> model.training, hasattr(model, "seen")
    (True, False)
    """

    def __init__(self, model: nn.Module, copied: Container[int] = frozenset()) -> None:
        self.places: list[_Place] = []
        self._saved: list[tuple[_SaveMethod, Any, Any]] = []
        self._empty: list[Any] = []  # most of all containers: a module has a dozen for hooks
        seen = {id(vars(model))}
        holders: list[Any] = [vars(model)]
        for holder in holders:  # grows while it is walked
            self._save(holder)
            for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
                kind = _save_method(type(value))  # type: ignore[arg-type]
                if kind is None:
                    continue
                if type(value) in _CONTAINERS and not value:
                    self._empty.append(value)
                    continue
                if kind is _TENSOR and not isinstance(holder, tuple):
                    self.places.append(_Place(holder, key, value))
                inner = vars(value) if kind is _MODULE else value
                if id(inner) in seen or id(inner) in copied:
                    continue
                seen.add(id(inner))
                if kind in (_MODULE, _DICTIONARY, _SEQUENCE):
                    holders.append(inner)
                else:
                    self._save(inner)

    def _save(self, value: Any) -> None:
        kind = _save_method(type(value))  # type: ignore[arg-type]
        if kind is not None and not isinstance(value, tuple):
            self._saved.append((kind, value, kind.save(value)))

    def put_back(self) -> None:
        """Restore whatever has changed."""
        for container in self._empty:
            if container:
                container.clear()
        for kind, value, contents in self._saved:
            kind.put_back(value, contents)


def _restore_container(value: Any, contents: Any) -> None:
    """Put the elements of a container back, unless it holds the very same ones."""
    keys = len(value) == len(contents) and all(map(is_, value, contents))
    if keys and (not isinstance(value, dict) or all(map(is_, value.values(), contents.values()))):
        return
    value.clear()
    (value.extend if isinstance(value, list | deque) else value.update)(contents)


def _copy_values(value: Tensor) -> Tensor | None:
    """A copy of a tensor's values; None where there are none to copy (meta device) or not as one block (sparse)."""
    return value.detach().clone() if value.layout is torch.strided and not value.is_meta else None


def _restore_values(value: Tensor, contents: Tensor | None) -> None:
    """Put a tensor's values back, unless they are the same, in a way that autograd does not track."""
    if contents is not None and not torch.equal(value, contents):
        value.data.copy_(contents)


_MODULE = _SaveMethod(vars, _restore_container)
_TENSOR = _SaveMethod(_copy_values, _restore_values)
_DICTIONARY = _SaveMethod(dict, _restore_container)
_SEQUENCE = _SaveMethod(list, _restore_container)
_CONTAINERS = {dict, OrderedDict, list, set, deque}
_SAVE_METHODS: dict[type, _SaveMethod | None] = {
    **dict.fromkeys((bool, int, float, str, NoneType, FunctionType), None),  # never looked into, so known at once
    nn.Module: _MODULE,
    Tensor: _TENSOR,
    nn.Parameter: _TENSOR,
    dict: _DICTIONARY,
    OrderedDict: _DICTIONARY,
    list: _SEQUENCE,
    tuple: _SEQUENCE,
    deque: _SEQUENCE,
    set: _SaveMethod(set, _restore_container),
    np.ndarray: _SaveMethod(np.copy, np.copyto),
    torch.Generator: _SaveMethod(torch.Generator.get_state, torch.Generator.set_state),
    random.Random: _SaveMethod(random.Random.getstate, random.Random.setstate),
    np.random.Generator: _SaveMethod(
        lambda generator: generator.bit_generator.state,
        lambda generator, state: setattr(generator.bit_generator, "state", state),
    ),
}


@lru_cache(1_000)
def _save_method(kind: type) -> _SaveMethod | None:
    """How a value of a type is saved; None for one that does not change, or is not looked into."""
    return next((_SAVE_METHODS[k] for k in kind.__mro__ if k in _SAVE_METHODS), None)
