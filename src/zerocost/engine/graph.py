"""Questions about an autograd graph."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable as mark

MARKED = mark(lambda _: None).__code__


def once_differentiable(value: Tensor) -> str | None:
    """Name of a custom function behind `value` whose backward is marked `once_differentiable`; None without one.

    Torch does not raise when a second derivative runs into one but leaves its share out.

    >>> import torch
    >>> once_differentiable(torch.ones(1, requires_grad=True).exp()) is None
    True
    """
    seen: set[Any] = set()
    queue: list[Any] = [value.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        queue += [parent for parent, _ in node.next_functions]
        function = getattr(node, "_forward_cls", None)
        if function and issubclass(function, Function) and getattr(function.backward, "__code__", None) is MARKED:
            return str(function.__name__)
    return None
