"""Which tensors a network reads when it runs, so that weights which no pass has read can be named."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from zerocost.engine.functions import Function

_DESCRIPTIONS = (bool, int, torch.Size, torch.dtype, torch.device, torch.layout)
"""What a call returns that looks at the form of a tensor, not at its values."""
_NESTS = (list, tuple, dict)


class Reads(TorchFunctionMode):
    """Notes what calls are given.

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


def _ids(values: Iterable[Any]) -> list[int]:
    """The ids of some values, and of those in lists, tuples and dictionaries among them."""
    found = []
    for value in values:
        found.append(id(value))
        if isinstance(value, _NESTS):
            found += _ids(value.values() if isinstance(value, dict) else value)
    return found


def noting_reads() -> AbstractContextManager[Reads]:
    """Notes what is read inside the block: the mode that sees all calls already, or else one of its own."""
    modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    seeing = next((mode for mode in modes if isinstance(mode, Reads)), None)
    return nullcontext(seeing) if seeing else Reads()
