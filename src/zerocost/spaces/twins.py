"""Twins among cells: a key that ignores dead branches, skips and the order of the terms of a sum."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

_NONE = "none"
SKIP = "skip_connect"


class Term(NamedTuple):
    """One summand of a node: an input of the cell, or an operation applied to another node's sum.

    Attributes:
        text: the whole expression.
        serial: a number of its own for each operation with weights; 0 for inputs and operations without weights, which
            are the same wherever they are applied to the same sum.
        source: the sum that the operation is applied to; empty for an input.
        operation: its name; empty for an input.
    """

    text: str
    serial: int
    source: tuple[Term, ...]
    operation: str


def cell_key(
    inputs: int,
    nodes: Sequence[Iterable[tuple[str, int]]],
    outputs: Iterable[int],
    unlearned: Collection[str] = (),
) -> str:
    """A text that cells share when they compute the same family of functions.

    Operation `"none"` adds nothing and `"skip_connect"` the source itself. An operation on nothing counts as nothing,
    though a normalisation in it could learn a constant.

    Args:
        inputs: number of inputs; they are numbered from 0, the nodes after them.
        nodes: each is the sum of (operation, number of the input or earlier node) pairs.
        outputs: the numbers of the nodes that leave the cell, in any order.
        unlearned: operations without weights; every other one has its own weights at each place.

    Here node 1 feeds nothing, and the output is one convolution of the input:

    >>> cell_key(1, [[("conv", 0)], [("skip_connect", 0), ("none", 1)], [("none", 0), ("none", 1), ("conv", 2)]], [3])
    'conv(0)'
    """
    serials = itertools.count(1)
    sums: list[tuple[Term, ...]] = [(Term(str(i), 0, (), ""),) for i in range(inputs)]
    for node in nodes:
        terms: list[Term] = []
        for operation, number in node:
            source = sums[number]
            if operation == SKIP:
                terms += source
            elif operation != _NONE and source:
                serial = 0 if operation in unlearned else next(serials)
                terms.append(Term(f"{operation}({'+'.join([t.text for t in source])})", serial, source, operation))
        sums.append(tuple(sorted(terms)))
    results = [sums[number] for number in outputs]
    return min(_text(results, labels) for labels in _labellings(results))


def _text(results: list[tuple[Term, ...]], labels: dict[int, str]) -> str:
    def total(terms: tuple[Term, ...]) -> str:
        return "+".join(sorted([one(term) for term in terms]))

    def one(term: Term) -> str:
        return f"{term.operation}{labels.get(term.serial, '')}({total(term.source)})" if term.source else term.text

    return "|".join(sorted([total(terms) for terms in results]))


def _labellings(results: list[tuple[Term, ...]]) -> Iterable[dict[int, str]]:
    """Every way to number the operations whose result is used more than once, among those that look the same."""
    uses: Counter[int] = Counter()
    seen: set[Term] = set()
    stack = list(results)
    while stack:
        for term in stack.pop():
            uses[term.serial] += 1
            if term not in seen:
                seen.add(term)
                stack.append(term.source)
    shared: dict[str, list[int]] = {}
    for term in sorted(seen):
        if term.serial and uses[term.serial] > 1:
            shared.setdefault(term.text, []).append(term.serial)
    for orders in itertools.product(*[itertools.permutations(group) for group in shared.values()]):
        yield {serial: f"#{i}" for order in orders for i, serial in enumerate(order)}
