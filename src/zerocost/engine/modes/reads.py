"""The mode that a network always runs in: it leaves to the passes whether a graph is made, and notes what is read, so
that weights which no pass has read can be named."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils.hooks import RemovableHandle

from zerocost.engine.calls.functions import Function, function_name
from zerocost.engine.modes.checkpoints import without_reentry

_DESCRIPTIONS = (bool, int, torch.Size, torch.dtype, torch.device, torch.layout)
"""What a call returns that looks at the form of a tensor, not at its values."""
_NESTS = (list, tuple, dict)
_SET_REQUIRES_GRAD = Tensor.requires_grad.__set__  # type: ignore[attr-defined]
_OF_GRAPH = {"requires_grad", "register_hook", "retain_grad", "set", "detach"}
"""Names of functions that decide whether a graph is made, or that a tensor refuses of which no gradient is computed."""


def has_compiled_functions() -> bool:
    """Whether torch.jit has compiled a function in this process; those that torch.func.jvp compiles are not counted."""
    functions: Any = torch.jit._state._python_cu.get_functions()  # type: ignore[func-returns-value]
    return any(not one.qualified_name.startswith("__torch__.torch._decomp.") for one in functions)


def left_to_passes(function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any] | None:
    """What a call returns instead, that is not run because whether a graph is made is for the passes to say."""
    if name not in _OF_GRAPH:
        return None
    if name == "requires_grad" or function == _SET_REQUIRES_GRAD:
        wanted = args[1] if len(args) > 1 else kwargs.get("requires_grad", True)
        return None if args[0].is_leaf and (wanted or not args[0].requires_grad) else (args[0],)
    if function is Tensor.detach_:
        return (args[0],) if args[0].is_leaf else None
    if args[0].requires_grad or name not in ("register_hook", "retain_grad"):
        return None
    return (RemovableHandle(OrderedDict()) if name == "register_hook" else None,)


class Reads(TorchFunctionMode):
    """Notes what calls are given; those about the graph are left to the passes.

    Attributes:
        ids: of it all. Compare them with those of tensors that are kept meanwhile: others may be given out again.

    >>> one, other = torch.ones(2), torch.ones(2)
    >>> with Reads() as reads:
    ...     _ = one.sum() + other.numel()
    >>> id(one) in reads.ids, id(other) in reads.ids
    (True, False)
    """

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[int] = set()

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        instead = left_to_passes(function, function_name(function), args, kwargs)
        if instead is not None:
            return instead[0]
        result = function(*args, **kwargs)
        self.note(args, kwargs, result)
        return result

    def note(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> list[int]:
        """Note the arguments of a call that returned something; the ids of those that it read."""
        if isinstance(result, _DESCRIPTIONS):
            return []
        ids = _ids(args)
        if kwargs:
            ids += _ids(kwargs.values())
        self.ids.update(ids)
        return ids


def _ids(values: Collection[Any]) -> list[int]:
    """The ids of some values, and of those in lists, tuples and dictionaries among them."""
    found = list(map(id, values))
    for value in values:
        if isinstance(value, _NESTS):
            found += _ids(value.values() if isinstance(value, dict) else value)
    return found


@contextmanager
def seeing_calls() -> Iterator[Reads]:
    """The mode that sees all calls already, or else one of its own inside the block; no checkpoint hides any there."""
    modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    seeing = next((mode for mode in modes if isinstance(mode, Reads)), None)
    with without_reentry(), nullcontext(seeing) if seeing else Reads() as reads:
        yield reads
