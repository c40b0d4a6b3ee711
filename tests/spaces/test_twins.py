"""Keys of cells, against a search for weights that make two cells compute the same."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache, partial

import numpy as np

from zerocost.spaces.twins import cell_key

OPERATIONS = ("none", "skip_connect", "a", "b", "pool")
Cell = list[list[tuple[str, int]]]


def draw(rng: np.random.Generator) -> Cell:
    """One input, three nodes with an edge from everything before; at most four operations learn."""
    while True:
        cell = [[(OPERATIONS[rng.integers(5)], source) for source in range(1 + i)] for i in range(3)]
        if learned(cell) <= 4:
            return cell


def key(cell: Cell) -> str:
    return cell_key(1, cell, (2, 3), ("pool",))


def learned(cell: Cell) -> int:
    return sum(operation in "ab" for node in cell for operation, _ in node)


def outputs(cell: Cell, weights: tuple[float, ...]) -> list[float]:
    """The nodes in order of value, each learned operation a function of its own weight that keeps 0."""
    values, unused = [0.7], iter(weights)
    for node in cell:
        total = 0.0
        for operation, source in node:
            x = values[source]
            match operation:
                case "skip_connect":
                    total += x
                case "pool":
                    total += x**3
                case "a" | "b":
                    w = next(unused)
                    total += math.tanh(w * x) if operation == "a" else math.sin(2 * w * x) * w
        values.append(total)
    return sorted(values[2:])


WEIGHTS = (0.9, 1.3, 0.5, 1.7)


@lru_cache
def orders(n: int) -> list[tuple[float, ...]]:
    return list(itertools.permutations(WEIGHTS, n))


def same(a: Cell, b: Cell) -> bool:
    """Whether some choice of weights makes `b` compute what `a` does with the first of them."""
    wanted = outputs(a, WEIGHTS[: learned(a)])
    candidates = (outputs(b, weights) for weights in orders(learned(b)))
    return any(all(map(partial(math.isclose, abs_tol=1e-12), wanted, values)) for values in candidates)


def test_cells_of_one_key_can_compute_the_same_and_others_cannot() -> None:
    rng = np.random.default_rng(0)
    cells = [draw(rng) for _ in range(300)]
    pairs = [(a, b) for a, b in itertools.combinations(cells, 2) if a != b]
    twins = [(a, b) for a, b in pairs if key(a) == key(b)]
    assert len(twins) > 50
    for a, b in twins:
        assert same(a, b), (a, b)
    others = [(a, b) for a, b in pairs[::40] if key(a) != key(b)]
    assert len(others) > 1000
    for a, b in others:
        assert not (same(a, b) and same(b, a)), (a, b)


def test_sharing_is_seen() -> None:
    """Twice one convolution is not the sum of two; two nodes that look alike are told apart where it matters."""
    twice = [[("a", 0)], [("skip_connect", 0), ("skip_connect", 2)]]
    once: Cell = [[("a", 0)], [("skip_connect", 0), ("a", 0)]]
    assert cell_key(2, twice, [2, 3]) != cell_key(2, once, [2, 3])
    crossed = [[("a", 0), ("a", 1)], [("a", 0), ("a", 1)], [("b", 2), ("b", 2)]]
    straight = [[("a", 0), ("a", 1)], [("a", 0), ("a", 1)], [("b", 2), ("b", 3)]]
    assert cell_key(2, crossed, [4]) != cell_key(2, straight, [4])


def test_what_leads_nowhere_comes_from_nowhere_or_is_in_another_order_is_not_seen() -> None:
    plain = cell_key(1, [[("a", 0)], [("b", 1)]], [2])
    assert plain == cell_key(1, [[("a", 0)], [("b", 0)], [("b", 1)]], [3])
    assert plain == cell_key(1, [[("none", 0)], [("a", 0), ("b", 1)], [("b", 2), ("a", 1)]], [3])
    assert plain == cell_key(1, [[("skip_connect", 0)], [("a", 1)], [("skip_connect", 2)], [("b", 3)]], [4])
    assert cell_key(1, [[("a", 0)], [("b", 0)]], [1, 2]) == cell_key(1, [[("b", 0)], [("a", 0)]], [1, 2])
    assert cell_key(1, [[("none", 0)]], [1]) == ""
