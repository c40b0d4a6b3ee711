"""A generator that takes the place of torch's default one for a single thread.

Operators that draw numbers get it as their `generator` from kernels under a dispatch key that torch itself leaves free.
The key is on in one thread only. It holds in C++ and TorchScript too, and calls that draw nothing never notice it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.library import Library, fallthrough_kernel

from zerocost.base.torch_state import LOCK

_KEY = "DeferredInit"  # "out-of-core" in torch's list of keys: none of its own kernels is under it
_DISPATCH_KEY = torch._C._dispatch_key_parse(_KEY)
_DEFAULT: Any = torch.default_generator
_RANDOM: Any = torch.random


class _Drawing(threading.local):
    """The generator that a thread draws from."""

    generator: torch.Generator = _DEFAULT


_SHARED: dict[str, Any] = vars(_RANDOM)
"""Of the process: another copy of this file, as in an exported folder, finds here what the first one has made."""
_drawing: _Drawing = _SHARED.setdefault("_zerocost_drawing", _Drawing())


class _ThreadsDefault:
    """What `torch.manual_seed`, `torch.get_rng_state` and their like work on: the generator of the calling thread."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_drawing.generator, name)


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """This thread's draws on the CPU come from a generator where they name none; others have torch's default one.

    >>> with drawing_from(torch.Generator().manual_seed(0)):
    ...     one = torch.rand(1)
    >>> bool(one == torch.rand(1, generator=torch.Generator().manual_seed(0)))
    True
    """
    with LOCK:
        if "_zerocost_kernels" not in _SHARED:
            _SHARED["_zerocost_kernels"] = _make_kernels()
        before = _drawing.generator, _RANDOM.default_generator
        _drawing.generator, _RANDOM.default_generator = generator, _ThreadsDefault()
        try:
            with torch._C._IncludeDispatchKeyGuard(_DISPATCH_KEY):
                yield
        finally:
            _drawing.generator, _RANDOM.default_generator = before


def thread_generator() -> torch.Generator:
    """The generator that this thread draws from on the CPU."""
    return _drawing.generator


def _make_kernels() -> tuple[Library, Library]:
    """The kernels of all operators that draw on the CPU; calls of other operators pass the key by."""
    make: Callable[..., Any] = Library
    others, kernels = make("_", "IMPL", _KEY), make("aten", "IMPL", _KEY)
    others.fallback(fallthrough_kernel)
    for registered in torch._C._dispatch_get_registrations_for_dispatch_key("CPU"):
        name, _, overload = registered.partition(".")
        if not name.startswith("aten::"):
            continue
        arguments = [argument.name for argument in torch._C._get_schema(name, overload).arguments]
        if "generator" in arguments:
            operator = getattr(getattr(torch.ops.aten, name.removeprefix("aten::")), overload or "default")
            kernels.impl(operator, _kernel(operator, arguments.index("generator")), with_keyset=True)
    return others, kernels


def _kernel(operator: Any, place: int) -> Callable[..., Any]:
    """An operator that draws from the thread's generator, unless it is given another one or is on another device."""

    def draw(keys: Any, *args: Any, **kwargs: Any) -> Any:
        tensor = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        given = args[place] if len(args) > place else kwargs.get("generator")
        if tensor.is_cpu and (given is None or given._cdata == _DEFAULT._cdata):
            if len(args) > place:
                args = (*args[:place], _drawing.generator, *args[place + 1 :])
            else:
                kwargs["generator"] = _drawing.generator
        return operator.redispatch(keys.remove(_DISPATCH_KEY), *args, **kwargs)

    return draw
