"""Gives the model back as it was, and knows every place in it where one of its tensors is kept."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterator, MutableMapping
from functools import lru_cache
from operator import is_
from types import FunctionType, MemberDescriptorType, NoneType, SimpleNamespace
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
    hooks, anything), lists, sets, tensors, arrays, random generators, and objects with attributes. Objects of Python's
    own library, torch, NumPy and Lightning are not looked into, nor are classes.

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
        seen = {id(model)}
        holders: list[Any] = [vars(model)]
        for holder in holders:  # grows while it is walked
            self._save(holder)
            for key, value in holder.items() if isinstance(holder, (dict, _Slots)) else enumerate(holder):
                type_ = type(value)
                if type_ in _UNCHANGING or (type_ is tuple and _UNCHANGING.issuperset(map(type, value))):
                    continue
                if type_ in _CONTAINERS and not value:
                    self._empty.append(value)
                    continue
                kind = _save_method(type_)  # type: ignore[arg-type]
                if kind is None:
                    continue
                if kind is _TENSOR and not isinstance(holder, tuple):
                    self.places.append(_Place(holder, key, value))
                if id(value) in seen or id(value) in copied:
                    continue
                seen.add(id(value))
                if kind is _OBJECT:
                    holders += _attributes(value)
                elif kind in (_MODULE, _DICTIONARY, _SEQUENCE):
                    holders.append(vars(value) if kind is _MODULE else value)
                else:
                    self._save(value)

    def _save(self, value: Any) -> None:
        kind = _save_method(type(value))  # type: ignore[arg-type]
        if kind is not None and not isinstance(value, tuple):
            self._saved.append((kind, value, kind.save(value)))

    def put_back(self) -> None:
        """Restore whatever has changed."""
        for container in filter(None, self._empty):
            container.clear()
        for kind, value, contents in self._saved:
            kind.put_back(value, contents)


class _Slots(MutableMapping[MemberDescriptorType, Any]):
    """The attributes of an object that `__slots__` declares, by their descriptors."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def __getitem__(self, slot: MemberDescriptorType) -> Any:
        try:
            return slot.__get__(self._owner)
        except AttributeError as error:
            raise KeyError(slot) from error

    def __setitem__(self, slot: MemberDescriptorType, value: Any) -> None:
        slot.__set__(self._owner, value)

    def __delitem__(self, slot: MemberDescriptorType) -> None:
        slot.__delete__(self._owner)

    def __iter__(self) -> Iterator[MemberDescriptorType]:
        return (slot for slot in _slots(type(self._owner)) if slot in self)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _attributes(value: Any) -> list[Any]:
    """What holds the attributes of an object."""
    named = getattr(value, "__dict__", None)
    slots = _Slots(value)
    return [*([named] if isinstance(named, dict) else []), *([slots] if slots else [])]


def _restore_container(value: Any, contents: Any) -> None:
    """Put the elements of a container back, unless it holds the very same ones."""
    keys = len(value) == len(contents) and all(map(is_, value, contents))
    if keys and (not isinstance(value, (dict, _Slots)) or all(map(is_, value.values(), contents.values()))):
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
_OBJECT = _SaveMethod(_attributes, _restore_container)
_CONTAINERS = {dict, OrderedDict, list, set, deque}
_UNCHANGING = {bool, int, float, str, NoneType, FunctionType}
"""Types of most values, known at once."""
_SAVE_METHODS: dict[type, _SaveMethod | None] = {
    **dict.fromkeys(_UNCHANGING, None),
    nn.Module: _MODULE,
    Tensor: _TENSOR,
    nn.Parameter: _TENSOR,
    dict: _DICTIONARY,
    OrderedDict: _DICTIONARY,
    _Slots: _DICTIONARY,
    SimpleNamespace: _OBJECT,
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


_NOT_LOOKED_INTO = {*sys.stdlib_module_names, "torch", "numpy", "lightning", "lightning_fabric", "pytorch_lightning"}
"""Packages whose objects do not belong to one network alone, such as a logger, a pool of threads or a trainer."""


@lru_cache(1_000)
def _save_method(kind: type) -> _SaveMethod | None:
    """How a value of a type is saved; None for one that does not change, or is not looked into."""
    known = next((k for k in kind.__mro__ if k in _SAVE_METHODS), None)
    if known is not None:
        return _SAVE_METHODS[known]
    own = not issubclass(kind, type) and kind.__module__.partition(".")[0] not in _NOT_LOOKED_INTO
    return _OBJECT if own and (kind.__dictoffset__ or _slots(kind)) else None


@lru_cache(1_000)
def _slots(kind: type) -> list[MemberDescriptorType]:
    """The attributes that the `__slots__` of a class and of those it inherits from declare."""
    return [slot for k in kind.__mro__ for slot in vars(k).values() if isinstance(slot, MemberDescriptorType)]
