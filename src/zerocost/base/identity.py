"""What values are, as a digest that is the same in every process: code, settings and contents, at no address."""

from __future__ import annotations

import dis
import hashlib
import re
import sys
import sysconfig
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import suppress
from functools import cache, cached_property, lru_cache, partial
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zerocost.base.user_code import FileFunction

_PLAIN = (str, int, float, complex, bytes, type(None), type(...), torch.dtype, torch.device)
_METHODS = (FunctionType, staticmethod, classmethod, property)
_SETTINGS = (*_PLAIN, Tensor, tuple, list, partial, FunctionType, MethodType)
"""What counts of the attributes of a module that an installed package defines; the rest is often its bookkeeping."""
_UNSHARED = (tuple, frozenset, CodeType)
"""Constants, of which equal ones may be one object in one process and several in another."""
_STANDARD, _INSTALLED = sysconfig.get_path("stdlib"), {"site-packages", "dist-packages"}


def identity(*values: object, weights: bool = True) -> str:
    """A digest of what values are: equal for equal ones, in any process, and hardly ever for others.

    A function is its code, its defaults, the values that it closes over, and the global values that it uses, the
    functions, classes and modules among them likewise. A class is its attributes and methods, an object the class and
    its attributes. A network is the classes, the attributes, the weights and the hooks of all its modules. What belongs
    to Python, zerocost or an installed package is known by its name alone.

    Args:
        values: anything.
        weights: whether the numbers in the tensors of networks count; else they are known by type and shape.

    >>> def scale(by):
    ...     return lambda x: x * by
    >>> identity(scale(2)) == identity(scale(2)), identity(scale(2)) == identity(scale(3))
    (True, False)
    >>> identity(nn.Conv2d(1, 1, 3), weights=False) == identity(nn.Conv2d(1, 1, 3, stride=2), weights=False)
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    seen: dict[int, tuple[int, object]] = {}

    def add(value: object, inside: bool = False) -> None:
        if isinstance(value, _PLAIN):
            digest.update(f"{value!r}\0".encode(errors="backslashreplace"))
        elif id(value) in seen:
            digest.update(f"#{seen[id(value)][0]}\0".encode())
        else:
            if not isinstance(value, _UNSHARED):
                seen[id(value)] = len(seen), value
            inside = inside or isinstance(value, nn.Module)
            digest.update(f"{type(value).__name__}(".encode())
            unread = inside and not weights and isinstance(value, Tensor | np.ndarray)
            for part in _form(value) if unread else _parts(value):
                add(part, inside)
            digest.update(b")")

    add(values)
    return digest.hexdigest()


def is_shipped(thing: Any) -> bool:
    """Whether a function or class belongs to Python, zerocost or an installed package, and not to the user.

    >>> is_shipped(nn.Linear), is_shipped(identity)
    (True, True)
    """
    return _is_shipped(str(thing.__module__).partition(".")[0])


@cache
def _is_shipped(package: str) -> bool:
    if package in ("zerocost", "__main__"):
        return package == "zerocost"
    module = sys.modules.get(package)
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    if place is None:
        return package in sys.stdlib_module_names
    return Path(place).is_relative_to(_STANDARD) or not _INSTALLED.isdisjoint(Path(place).parts)


def _parts(value: Any) -> Iterator[object]:
    """What a value is made of."""
    for kind, parts in _KINDS:
        if isinstance(value, kind):
            yield from parts(value)
            return
    yield type(value)
    if is_shipped(type(value)) or not hasattr(value, "__dict__"):
        yield _text(value)
    else:
        yield from attributes(value).items()


def _text(value: object) -> str:
    """The `repr` of a value without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def attributes(value: object) -> dict[str, Any]:
    """The attributes of an object by name, without those that it computes when they are first asked for."""
    found = sorted(vars(value).items())
    return {name: one for name, one in found if not isinstance(getattr(type(value), name, None), cached_property)}


def _tensor(value: Tensor) -> Iterator[object]:
    yield from _form(value)
    if not is_lazy(value) and value.layout is torch.strided and value.device.type != "meta":
        yield zlib.crc32(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data)


def _array(value: np.ndarray[Any, Any]) -> Iterator[object]:
    yield from (*_form(value), value.tolist() if value.dtype.hasobject else zlib.crc32(value.tobytes()))


def _form(value: Any) -> Iterator[object]:
    """The type and shape of a tensor or array."""
    yield from (str(value.dtype), getattr(value, "requires_grad", None))
    yield None if is_lazy(value) else tuple(value.shape)


def _function(value: FunctionType) -> Iterator[object]:
    yield value.__qualname__
    used: dict[str, object] = {}
    if is_shipped(value):
        yield value.__module__
    else:
        yield from (value.__code__, value.__defaults__, value.__kwdefaults__)
        used = {name: value.__globals__.get(name) for name in _global_names(value.__code__)}
    for name, found in (used | dict(_closed_over(value))).items():
        yield name
        yield from _used(found, _names_in(value.__code__)) if isinstance(found, ModuleType) else [found]


def _closed_over(function: FunctionType) -> Iterator[tuple[str, object]]:
    """The values that a function closes over, by name."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # it holds nothing yet
            yield name, cell.cell_contents


def _used(module: ModuleType, names: frozenset[str]) -> Iterator[object]:
    """What code with these names may use of a module of the user's, and of the modules inside it."""
    modules = [module]
    for one in modules:
        yield one.__name__.rpartition(".")[2]
        for name in sorted(names & vars(one).keys()) if not _is_shipped(one.__name__.partition(".")[0]) else ():
            found = vars(one)[name]
            if not isinstance(found, ModuleType):
                yield from (name, found)
            elif found not in modules:
                modules.append(found)


def _code(value: CodeType) -> Iterator[object]:
    yield from (value.co_code, value.co_exceptiontable, value.co_names)
    yield from (value.co_argcount, value.co_kwonlyargcount, value.co_flags, value.co_consts)


@lru_cache(maxsize=4096)
def _global_names(code: CodeType) -> tuple[str, ...]:
    """The global names that code and the functions inside it read."""
    own = [one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    inner = [name for one in code.co_consts if isinstance(one, CodeType) for name in _global_names(one)]
    return tuple(dict.fromkeys(name for name in [*own, *inner] if not name.startswith("__")))


@lru_cache(maxsize=4096)
def _names_in(code: CodeType) -> frozenset[str]:
    """The names and texts in code, as which it may read attributes."""
    found = frozenset(code.co_names).union(*map(_texts_in, code.co_consts))
    return frozenset(name for name in found if not name.startswith("__"))


def _texts_in(constant: object) -> Iterable[str]:
    if isinstance(constant, CodeType):
        return _names_in(constant)
    if isinstance(constant, tuple | frozenset):
        return chain.from_iterable(map(_texts_in, constant))
    return [constant] if isinstance(constant, str) else []


def _class(value: type) -> Iterator[object]:
    yield value.__qualname__
    if is_shipped(value):
        yield value.__module__
        return
    yield from value.__bases__
    for name, member in sorted(vars(value).items()):
        if isinstance(member, _METHODS) or not name.startswith("__"):
            yield from (name, member)


def _network(value: nn.Module) -> Iterator[object]:
    yield type(value)
    shipped = is_shipped(type(value))
    for name, found in sorted(vars(value).items()):
        if "_hooks" in name and isinstance(found, Mapping):  # numbered by how many there were before, of any network
            yield from (name, *found.values()) if found else ()
        elif name in ("_parameters", "_buffers", "_modules") or not shipped or isinstance(found, _SETTINGS):
            yield from (name, found)


_KINDS: tuple[tuple[Any, Callable[[Any], Iterator[object]]], ...] = (
    ((tuple, list), iter),
    (Tensor, _tensor),
    (np.ndarray, _array),
    (FunctionType, _function),
    (CodeType, _code),
    (type, _class),
    (nn.Module, _network),
    (FileFunction, lambda value: iter((value.function,))),
    (partial, lambda value: iter((value.func, value.args, value.keywords))),
    (MethodType, lambda value: iter((value.__func__, value.__self__))),
    ((staticmethod, classmethod), lambda value: iter((value.__func__,))),
    (property, lambda value: iter((value.fget, value.fset))),
    (cached_property, lambda value: iter((value.func,))),
    (type(lru_cache(len)), lambda value: iter((value.__wrapped__,))),
    (ModuleType, lambda value: iter((value.__name__,))),
    (Mapping, lambda value: iter(value.items())),
    (Set, lambda value: iter(sorted(value, key=_text))),
)
"""What a value of each kind is made of."""
