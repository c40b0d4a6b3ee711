from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zerocost.base.errors import InputError
from zerocost.statistics.pareto import crowded_order, crowding, fronts, hypervolume, knee

shapes = st.tuples(st.integers(0, 12), st.integers(1, 4))
small = arrays(float, shapes, elements=st.integers(0, 4).map(float))
holed = arrays(float, shapes, elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, float("nan"), float("inf")]))


def dominates(a, b) -> bool:
    known = [bool(np.isfinite(point).all()) for point in (a, b)]
    if not all(known):
        return known[0] and not known[1]
    return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))


def peeled(values) -> list[int]:
    """Fronts by definition: take away what nothing left dominates, again and again."""
    ranks, left = [0] * len(values), set(range(len(values)))
    for rank in itertools.count():
        if not left:
            return ranks
        front = {i for i in left if not any(dominates(values[j], values[i]) for j in left)}
        for i in front:
            ranks[i] = rank
        left -= front
    raise AssertionError


@given(small | holed)
def test_fronts_are_those_of_the_definition(values) -> None:
    assert fronts(values).tolist() == peeled(values)


@given(small, st.randoms(use_true_random=False))
def test_fronts_do_not_depend_on_the_order_of_points_or_objectives(values, random) -> None:
    rows, columns = list(range(len(values))), list(range(values.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    assert fronts(values[rows][:, columns]).tolist() == fronts(values)[rows].tolist()


def test_four_times_the_points_take_far_less_than_sixteen_times_as_long() -> None:
    values = np.random.default_rng(0).normal(size=(8000, 2))

    def seconds(count: int) -> float:
        start = time.process_time()
        ranks = fronts(values[:count])
        assert set(ranks.tolist()) == set(range(ranks.max() + 1))
        return time.process_time() - start

    assert min(seconds(8000) for _ in range(3)) < 12 * min(seconds(2000) for _ in range(3))


def test_crowding_by_hand() -> None:
    points = [[0, 10], [1, 6], [2, 5], [5, 0], [1, 6]]
    assert crowding(points) == pytest.approx([np.inf, 1 / 5 + 1 / 10, 4 / 5 + 6 / 10, np.inf, 1 / 5 + 4 / 10])
    assert crowding([[1, 1], [1, 1]]).tolist() == [0, 0]
    assert crowding(np.empty((0, 2))).tolist() == []


@given(small | holed)
def test_the_order_is_by_front_then_by_crowding(values) -> None:
    ordered = crowded_order(values)
    assert sorted(ordered.tolist()) == list(range(len(values)))
    ranks = fronts(values)[ordered]
    assert (np.diff(ranks) >= 0).all()
    for rank in set(ranks.tolist()):
        members = ordered[ranks == rank]
        if np.isfinite(values[members]).all():
            distances = crowding(values[np.sort(members)])[np.argsort(np.argsort(members))]
            assert all(a >= b for a, b in itertools.pairwise(distances))


@given(small)
def test_hypervolume_counts_the_unit_cubes_below_the_points(values) -> None:
    corners = np.stack(np.meshgrid(*[np.arange(4)] * values.shape[1], indexing="ij"), -1).reshape(-1, values.shape[1])
    covered = (values[:, None] >= corners[None] + 1).all(-1).any(0).sum()
    assert hypervolume(values, np.zeros(values.shape[1])) == pytest.approx(covered)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolume_agrees_with_monte_carlo(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    values = rng.uniform(-0.2, 1, size=(15, objectives))
    points = rng.uniform(size=(40_000, objectives))
    covered = (points[:, None] <= values[None]).all(-1).any(1).mean()
    assert hypervolume(values, [0] * objectives) == pytest.approx(covered, abs=4 * 0.5 / 200)


@given(small, st.data())
def test_a_dominated_point_adds_nothing_and_another_never_takes_away(values, data) -> None:
    objectives = values.shape[1]
    reference = np.full(objectives, -1.0)
    whole = hypervolume(values, reference)
    front = values[fronts(values) == 0]
    assert hypervolume(front, reference) == pytest.approx(whole)
    more = data.draw(arrays(float, (1, objectives), elements=st.integers(0, 4).map(float)))
    assert hypervolume(np.vstack([values, more]), reference) >= whole - 1e-9


def test_points_that_are_no_better_than_the_reference_or_unknown_add_nothing() -> None:
    nan, inf = float("nan"), float("inf")
    assert hypervolume([[1, 3], [5, 0], [nan, 9], [inf, 9], [-1, 9]], [0, 0]) == 3
    assert hypervolume([[-1, -5]], [-2, -9]) == 4
    assert hypervolume(np.empty((0, 2)), [0, 0]) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fronts([1, 2, 3]), "points × objectives"),
        (lambda: hypervolume([[1, 2]], [0]), "must be 2 finite numbers"),
        (lambda: hypervolume([[1, 2]], [0, float("nan")]), "must be 2 finite numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_the_knee_is_farthest_from_the_line_through_the_ends() -> None:
    front = np.array([[0.0, 50.0], [1.0, 45.0], [4.0, 40.0], [9.0, 10.0], [10.0, 0.0]])
    start, along = front[0] / [10, 50], np.array([1.0, -1.0])
    distances = [abs(np.linalg.det([along, point / [10, 50] - start])) for point in front]
    assert knee(front) == int(np.argmax(distances)) == 2
    assert knee(front[[0, -1]]) is knee(np.empty((0, 2))) is knee([[1.0, 2.0]]) is None
    assert knee([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]]) is None, "a front that bends the other way has none"
