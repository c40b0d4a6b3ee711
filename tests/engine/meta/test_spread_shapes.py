"""Functions of each element of tensors on the meta device lie in memory as in a real run."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocost.engine.calls.call import Call
from zerocost.engine.meta.shapes import quick_result


@st.composite
def tensors(draw, sizes):
    """A tensor that may be spread to some sizes, its axes in any order, of which some are sliced or expanded."""
    own = [draw(st.sampled_from([size, size, 1])) for size in sizes[draw(st.integers(0, len(sizes))) :]]
    order = draw(st.permutations(range(len(own))))
    kind = draw(st.sampled_from([torch.float32] * 4 + [torch.bool, torch.int64]))
    whole = torch.ones([own[axis] + draw(st.integers(0, 1)) for axis in order], dtype=kind)
    moved = whole.permute([order.index(axis) for axis in range(len(own))])
    for axis, size in enumerate(own):
        moved = moved.narrow(axis, 0, size)
    if draw(st.booleans()):
        wanted = zip(sizes[len(sizes) - len(own) :], own, strict=True)
        moved = moved.expand([size if draw(st.booleans()) else have for size, have in wanted])
    return moved


def on_meta(x):
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "maximum", "gt", "eq"])
@given(data=st.data())
@settings(max_examples=80)
def test_a_result_has_the_form_of_a_real_one_or_is_left_to_torch(name, data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    one = data.draw(tensors(sizes))
    other = data.draw(st.just(2.0) | tensors([*sizes[:-1], data.draw(st.sampled_from([sizes[-1]] * 5 + [5]))]))
    if name == "maximum" and isinstance(other, float):
        return
    function = getattr(torch, name)
    placed = [on_meta(value) if isinstance(value, torch.Tensor) else value for value in (one, other)]
    found = quick_result(Call(function, name, tuple(placed), {}))
    try:
        wanted = function(one, other)
    except RuntimeError:
        assert found is None
        return
    if found is None:
        assert not (one.is_floating_point() and (isinstance(other, float) or other.is_floating_point()))
        return
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    steps = [
        [step for step, size in zip(each.stride(), each.shape, strict=True) if size > 1] for each in (found, wanted)
    ]
    assert steps[0] == steps[1]
