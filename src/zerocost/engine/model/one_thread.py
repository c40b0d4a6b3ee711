"""Notices a network that runs a part of itself in another thread, where no mode sees its calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from torch import nn

from zerocost.base.errors import Failure


@contextmanager
def one_thread(modules: Iterable[nn.Module]) -> Iterator[None]:
    """`Failure` on exit where one of the modules was called in another thread than this one.

    >>> with one_thread([nn.Identity()]):
    ...     pass
    """
    here, elsewhere = get_ident(), False

    def note(*_: Any) -> None:
        nonlocal elsewhere
        elsewhere = elsewhere or get_ident() != here

    key = object()
    hooks: list[Any] = [module._forward_pre_hooks for module in modules]
    for hook in hooks:
        hook[key] = note
    try:
        yield
    finally:
        for hook in hooks:
            hook.pop(key, None)
        if elsewhere:
            raise Failure("the network runs a part in another thread, where its calls cannot be seen")
