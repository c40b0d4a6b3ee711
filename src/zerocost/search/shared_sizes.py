"""Sizes that are counted by worker processes, several at a time; a network that ends its process costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from zerocost.base.errors import Failure
from zerocost.base.shared_pool import PoolPart, SharedPool
from zerocost.engine.outputs import Output
from zerocost.search.sizes import Cost, size_costs
from zerocost.spaces import Architecture, SearchSpace

_Sizes = dict[str, float | Failure]


class Counting(NamedTuple):
    """How sizes are counted.

    Attributes:
        costs: `size_costs`.
        begin: has other processes, if there are any, begin to count some sizes of architectures, by their names.
    """

    costs: dict[str, Cost]
    begin: Callable[[Sequence[Architecture], Sequence[str]], None]


def counting(shared: SharedPool, space: SearchSpace, inputs: Any, output: Output = None) -> Counting:
    """`size_costs`, counted by the workers where these are other processes.

    >>> from contextlib import closing
    >>> import torch
    >>> from zerocost import spaces
    >>> from zerocost.base.workers import Workers
    >>> with closing(SharedPool(Workers(1))) as shared:
    ...     list(counting(shared, spaces.get("cnn"), torch.zeros(1, 3, 32, 32)).costs)[:4]
    ['params', 'embedding_params', 'flops', 'depth']
    """
    here = size_costs(space, inputs, output)
    if shared.workers.in_process:
        return Counting(here, lambda archs, names: None)
    apart = _Apart(shared.part("sizes", partial(_set_up, space, inputs, output)), here["params"])
    return Counting({name: partial(apart.size, name) for name in here}, apart.begin)


class _Apart:
    """Sizes from worker processes, each counted once; parameters that none has begun to count are counted here."""

    def __init__(self, pool: PoolPart, params: Cost) -> None:
        self.pool, self.params = pool, params
        self.begun: dict[tuple[str, str], Future[_Sizes]] = {}

    def begin(self, archs: Sequence[Architecture], names: Sequence[str]) -> None:
        """Have sizes counted, those of a network together."""
        for text in map(str, archs):
            new = [name for name in names if (text, name) not in self.begun]
            if new:
                self.begun |= dict.fromkeys([(text, name) for name in new], self.pool.submit(text, new))

    def size(self, name: str, arch: Architecture) -> float | Failure:
        """One size, or why there is none."""
        key = str(arch), name
        if name == "params" and key not in self.begun:
            return self.params(arch)
        self.begin([arch], [name])
        try:
            return self.begun[key].result()[name]
        except Failure as reason:
            return self.params(arch) if name == "params" else reason  # to build it is no danger


def _set_up(space: SearchSpace, inputs: Any, output: Output) -> Callable[[str, list[str]], _Sizes]:
    """In a worker process: a function from an architecture's text and names to the sizes."""
    known = size_costs(space, inputs, output)

    def count(text: str, names: list[str]) -> _Sizes:
        arch = space.parse(text)
        return {name: known[name](arch) for name in names}

    return count
