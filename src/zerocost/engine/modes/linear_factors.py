"""Gradients to the weights of large linear layers as the two factors that they are products of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.overrides import TorchFunctionMode

from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import Function
from zerocost.engine.graph import as_dense, check_whole

_LARGE = 2**16
"""Weights of fewer numbers cost less than it takes to look for their factors."""


class Factors(NamedTuple):
    """The gradient δᵀ x to the weight of a linear layer.

    Attributes:
        outputs: δ, the gradient to what the layer returns: rows×out.
        inputs: x, what it is given: rows×in.
    """

    outputs: Tensor
    inputs: Tensor


class _LinearCall(NamedTuple):
    """Where the gradient to what a linear layer returned arrives, its weight, and what it was given, rows×in."""

    returned: GradientEdge
    weight: Tensor
    inputs: Tensor


class LinearCalls(TorchFunctionMode):
    """Notes the calls of large linear layers that are given fewer rows than a row has numbers.

    Args:
        most_rows: no call with more rows is noted.
    """

    def __init__(self, most_rows: float = math.inf) -> None:
        super().__init__()
        self.most_rows = most_rows
        self.found: dict[int, list[_LinearCall]] = {}

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function is F.linear and result.requires_grad and torch._C._functorch.maybe_current_level() is None:
            call = Call(function, "linear", args, kwargs or {})
            inputs, weight = call.input, call.argument(1, "weight")
            rows = inputs.numel() // max(inputs.shape[-1], 1)
            is_leaf = weight.is_leaf and weight.requires_grad and weight.ndim == 2
            if is_leaf and weight.numel() >= _LARGE and rows < min(inputs.shape[-1], self.most_rows + 1):
                given = inputs.detach().reshape(rows, -1).clone()
                self.found.setdefault(id(weight), []).append(_LinearCall(get_gradient_edge(result), weight, given))
        return result

    def sources(self, of: Tensor, weights: Sequence[Tensor]) -> list[Tensor | _LinearCall]:
        """For each weight its one noted call where the graph of `of` has no other use of it, else the weight."""
        if not self.found:
            return list(weights)
        ends = {get_gradient_edge(w).node: id(w) for w in weights if id(w) in self.found}
        nodes, uses = _walk(of, ends)
        alone = {
            key: calls[0]
            for key, calls in self.found.items()
            if len(calls) == uses[key] == 1 and calls[0].returned.node in nodes
        }
        return [alone.get(id(weight), weight) for weight in weights]


def gradients_to(of: Tensor, sources: Sequence[Tensor | _LinearCall], **options: Any) -> list[Tensor | Factors]:
    """Gradient of a scalar to each weight, zeros where there is none; by its factors where its call is given."""
    check_whole(of)
    places: Any = [source.returned if isinstance(source, _LinearCall) else source for source in sources]
    found: Sequence[Tensor | None] = torch.autograd.grad(of, places, allow_unused=True, **options)
    return [_as_gradient(source, gradient) for source, gradient in zip(sources, found, strict=True)]


def _as_gradient(source: Tensor | _LinearCall, found: Tensor | None) -> Tensor | Factors:
    """The gradient to a weight, out of what autograd found."""
    if isinstance(source, Tensor):
        return as_dense([torch.zeros_like(source) if found is None else found])[0]
    rows, out = len(source.inputs), len(source.weight)
    return Factors(source.inputs.new_zeros(rows, out) if found is None else found.reshape(rows, out), source.inputs)


def _walk(of: Tensor, ends: dict[Node, int]) -> tuple[set[Node], Counter[int]]:
    """The nodes of a graph, and how many of its edges lead to each of some ends, by what the ends stand for."""
    seen: set[Node] = set()
    uses: Counter[int] = Counter()
    queue = [of.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        uses.update(ends[parent] for parent, _ in node.next_functions if parent in ends)
        queue += [parent for parent, _ in node.next_functions]
    return seen, uses
