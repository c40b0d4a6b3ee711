"""A model made of new modules around the same parameters and buffers, so that the one it was made of can go on."""

from __future__ import annotations

import copy
import random
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial, singledispatch
from types import CellType, FunctionType, MethodType, ModuleType, NoneType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_PLAIN = {bool, int, float, complex, str, bytes, NoneType, torch.dtype, torch.device, torch.Size}
_CONTAINERS = {dict, OrderedDict, list, set}
_REFERENCES = (tuple, partial, MethodType, FunctionType, weakref.ReferenceType)
"""What does not change itself, and may lead to what does."""
_HOOKS = {name: type(held) for name, held in vars(nn.Module()).items() if type(held) in _CONTAINERS}
"""What every module has for itself, most of it empty: a dozen containers, which would take most of the time."""


def clone(model: nn.Module) -> nn.Module:
    """The same network in modules of its own: what runs, hooks and changes it does not touch the model.

    Parameters and buffers are shared. The rest of what hangs on the modules is copied: containers, other tensors,
    arrays, random generators and objects; of what an object holds, its containers and modules. Methods, functions and
    weak references that lead to any of these lead to its copy. What cannot be copied is shared.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> twin = clone(model)
    >>> twin[0] is model[0], twin[0].weight is model[0].weight
    (False, True)
    """
    with torch.inference_mode(False), torch.no_grad():
        return _Copier(model).run(model)


class _Copier:
    """Copies values, each once.

    Attributes:
        made: each value with its copy, by the value's id.
        unfilled: containers in copies that still hold what the values hold, and whether they are inside an object.
        references: the containers and keys under which references are.
        referred: each reference with what it has become, by its id.
        inside: whether what is copied now is inside an object.
    """

    def __init__(self, model: nn.Module) -> None:
        held = [held for module in model.modules() for held in (module._parameters, module._buffers)]
        shared = [tensor for tensors in held for tensor in tensors.values()]
        self.made: dict[int, tuple[Any, Any]] = {id(value): (value, value) for value in shared}
        self.unfilled: deque[tuple[Any, Any, bool]] = deque()
        self.references: list[tuple[Any, Any, Any]] = []
        self.referred: dict[int, tuple[Any, Any]] = {}
        self.inside = False

    def run(self, model: nn.Module) -> nn.Module:
        made: nn.Module = self.copy(model)
        while self.unfilled:
            holder, held, self.inside = self.unfilled.popleft()
            self._fill(holder, held)
        for holder, key, value in self.references:
            _put(holder, key, self._refer(value))
        return made

    def copy(self, value: Any) -> Any:
        """The copy of a value; the value itself where it needs none."""
        known = self.made.get(id(value))
        if known is not None:
            return known[1]
        kind = type(value)
        if kind in _CONTAINERS:
            made = kind(value) if value else kind()
            if value:
                self.later(made)
        else:
            made = _copy.dispatch(kind)(value, self)
        self.made[id(value)] = value, made
        return made

    def later(self, holder: Any) -> None:
        """Have what a container holds replaced by copies."""
        self.unfilled.append((holder, holder, self.inside))

    def _fill(self, holder: Any, held: Any) -> None:
        """Put copies in the place of what a container holds; `held` is that, or a part of it."""
        if isinstance(holder, set):
            items = list(map(self.copy, holder))
            holder.clear()
            holder.update(items)
            return
        keyed = isinstance(holder, dict)
        for key, item in list(held.items()) if keyed else enumerate(list(held)):
            kind = type(item)
            if kind in _PLAIN or (kind is tuple and _PLAIN.issuperset(map(type, item))):
                continue
            known = self.made.get(id(item))
            made = self.copy(item) if known is None else known[1]
            if made is not item:
                holder[key] = made
            elif isinstance(item, _REFERENCES):
                self.references.append((holder, key, item))
        if keyed and held is holder and any(isinstance(key, nn.Module) for key in holder):
            pairs = [(self.copy(key), item) for key, item in holder.items()]
            holder.clear()
            holder.update(pairs)

    def _refer(self, value: Any) -> Any:
        """What leads to copies in the place of what was copied."""
        if not isinstance(value, _REFERENCES):
            return self.made.get(id(value), (value, value))[1]
        if id(value) not in self.referred:
            self.referred[id(value)] = value, value  # for a function that refers to itself
            held, make = _parts(value)
            items = list(map(self._refer, held))
            same = all(one is other for one, other in zip(items, held, strict=True))
            self.referred[id(value)] = value, value if same else make(items)
        return self.referred[id(value)][1]


def _put(holder: Any, key: Any, value: Any) -> None:
    """Put a value under a key, also where a kind of dictionary or list refuses it."""
    set_item: Any = dict.__setitem__ if isinstance(holder, dict) else type(holder).__setitem__
    set_item(holder, key, value)


@singledispatch
def _copy(value: Any, copier: _Copier) -> Any:
    """An object of a class that says nothing of how it is copied; anything else as it is."""
    kind: Any = type(value)
    usual = kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__
    return _copy_object(value, copier) if usual and getattr(value, "__dict__", None) else value


@_copy.register(SimpleNamespace)
def _copy_object(value: Any, copier: _Copier) -> Any:
    made = value if copier.inside else _try(copy.copy, value)
    if made is not value:
        copier.unfilled.append((vars(made), vars(made), True))
    return made


@_copy.register(nn.Module)
def _(value: nn.Module, copier: _Copier) -> Any:
    made: Any = _try(object.__new__, type(value))
    if made is type(value):  # of a class that has a base in C besides torch.nn.Module
        return value
    own = vars(made)
    own.update(vars(value))
    filled = dict(own)
    for name, kind in _HOOKS.items():
        if not own.get(name, True):
            own[name] = kind()
            del filled[name]
    copier.unfilled.append((own, filled, False))
    return made


@_copy.register(torch.jit.ScriptModule)
def _(value: torch.jit.ScriptModule, _: _Copier) -> Any:
    made = _try(copy.deepcopy, value)
    for one, other in zip(value.modules(), made.modules(), strict=True):
        for held in ("_parameters", "_buffers"):
            for name, tensor in getattr(one, held).items():
                getattr(other, held)[name] = tensor
    return made


@_copy.register(dict)
@_copy.register(list)
@_copy.register(set)
@_copy.register(deque)
def _(value: Any, copier: _Copier) -> Any:
    made = _try(copy.copy, value)
    if made is not value:
        copier.later(made)
    return made


@_copy.register(tuple)
def _(value: tuple[Any, ...], copier: _Copier) -> Any:
    for item in value:
        if type(item) not in _PLAIN:
            copier.copy(item)
    return value


@_copy.register(Tensor)
def _(value: Tensor, copier: _Copier) -> Any:
    return value if copier.inside else _try(_copy_tensor, value)


def _copy_tensor(value: Tensor) -> Tensor:
    made = value.detach().clone()
    if isinstance(value, nn.Parameter):
        return nn.Parameter(made, value.requires_grad)
    return made.requires_grad_() if value.requires_grad else made


@_copy.register(np.ndarray)
@_copy.register(torch.Generator)
@_copy.register(random.Random)
@_copy.register(np.random.Generator)
@_copy.register(np.random.RandomState)
def _(value: Any, copier: _Copier) -> Any:
    return value if copier.inside else _try(copy.deepcopy, value)


@_copy.register(type)
@_copy.register(ModuleType)
@_copy.register(FunctionType)
@_copy.register(MethodType)
@_copy.register(partial)
def _(value: Any, _: _Copier) -> Any:
    return value


_Parts = tuple[tuple[Any, ...], Callable[[list[Any]], Any]]


@singledispatch
def _parts(value: Any) -> _Parts:
    """What a reference leads to, and how one to other values is made."""
    raise NotImplementedError


@_parts.register(tuple)
def _(value: tuple[Any, ...]) -> _Parts:
    make: Callable[[list[Any]], Any] = tuple if type(value) is tuple else getattr(type(value), "_make", lambda _: value)
    return value, make


@_parts.register(MethodType)
def _(value: MethodType) -> _Parts:
    return (value.__func__, value.__self__), lambda items: MethodType(*items)


@_parts.register(weakref.ReferenceType)
def _(value: weakref.ReferenceType[Any]) -> _Parts:
    return (value(),), lambda items: weakref.ref(*items)


@_parts.register(partial)
def _(value: partial[Any]) -> _Parts:
    names, count = list(value.keywords), len(value.args) + 1

    def make(items: list[Any]) -> Any:
        return partial(items[0], *items[1:count], **dict(zip(names, items[count:], strict=True)))

    return (value.func, *value.args, *value.keywords.values()), make


@_parts.register(FunctionType)
def _(value: FunctionType) -> _Parts:
    cells, defaults, named = value.__closure__ or (), value.__defaults__ or (), value.__kwdefaults__ or {}
    last = len(cells) + len(defaults)

    def make(items: list[Any]) -> Any:
        closure = tuple(map(CellType, items[: len(cells)]))
        made = FunctionType(value.__code__, value.__globals__, value.__name__, tuple(items[len(cells) : last]), closure)
        made.__kwdefaults__ = dict(zip(named, items[last:], strict=True))
        vars(made).update(vars(value))
        return made

    return (*map(_contents, cells), *defaults, *named.values()), make


def _contents(cell: CellType) -> Any:
    """What a variable of a function holds; None where it has no value yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _try(function: Callable[[Any], Any], value: Any) -> Any:
    """What a function makes of a value; the value itself where it raises."""
    try:
        return function(value)
    except Exception:  # noqa: BLE001  classes may refuse to be copied in any way
        return value
