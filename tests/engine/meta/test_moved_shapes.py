"""What moves elements has on the meta device the form that it has in a real run."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zerocost.engine.calls.call import Call
from zerocost.engine.meta.shapes import quick_result

_SIZE = st.integers(1, 5)


def shapes(least=1, most=4):
    return st.lists(_SIZE, min_size=least, max_size=most)


def axis(x):
    return st.integers(-x.ndim - 1, x.ndim)


def glu(draw, x):
    return F.glu, (x, draw(axis(x)))


def pixel_shuffle(draw, x):
    return F.pixel_shuffle, (x, draw(st.integers(0, 2)))


def pad(draw, x):
    pads = draw(st.lists(st.integers(0, 3), min_size=2, max_size=6))
    return F.pad, (x, pads, draw(st.sampled_from(["reflect", "replicate"])))


def norm(draw, x):
    return Tensor.norm, (x, draw(st.sampled_from([1, 2, 2.0, "fro"])), draw(st.none() | axis(x)), draw(st.booleans()))


def tril(draw, x):
    return torch.tril, (x > 0 if draw(st.booleans()) else x, draw(st.integers(-2, 2)))


def triu(draw, x):
    return Tensor.triu, (x, draw(st.integers(-2, 2)))


def arange(draw, _):
    return torch.arange, tuple(draw(st.lists(st.integers(-5, 5), min_size=1, max_size=3)))


def repeat(draw, x):
    times = draw(st.lists(st.integers(0, 3), max_size=5))
    return Tensor.repeat, (x, times) if draw(st.booleans()) else (x, *times)


def embedding(draw, x):
    return F.embedding, (torch.zeros(x.shape, dtype=torch.long), torch.rand(5, 3), draw(st.none() | st.integers(-6, 6)))


def masked_fill(draw, x):
    mask = torch.ones(draw(shapes(0)), dtype=torch.bool) if draw(st.booleans()) else x > 0
    return draw(st.sampled_from([torch.masked_fill, Tensor.masked_fill_])), (x, mask, draw(st.sampled_from([0, -1.0])))


def flatten(draw, x):
    return torch.flatten, (x, draw(axis(x)), draw(axis(x)))


def reshape(draw, x):
    return Tensor.reshape, (x, draw(st.sampled_from([(-1,), (x.shape[0], -1), (2, -1), (-1, x.shape[-1])])))


def cat(draw, x):
    return torch.cat, ([x, *[x.contiguous() if draw(st.booleans()) else x] * draw(st.integers(0, 2))], draw(axis(x)))


FUNCTIONS = [glu, pixel_shuffle, pad, norm, tril, triu, arange, repeat, embedding, masked_fill, flatten, reshape, cat]


def on_meta(value):
    if isinstance(value, list) and value and isinstance(value[0], Tensor):
        return list(map(on_meta, value))
    if not isinstance(value, Tensor):
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")


@pytest.mark.parametrize("make", FUNCTIONS, ids=lambda make: make.__name__)
@given(data=st.data())
@settings(max_examples=60)
def test_a_result_has_the_form_of_a_real_one_or_is_left_to_torch(make, data):
    x = torch.rand(data.draw(shapes()))
    x = x.transpose(*data.draw(st.tuples(*[st.integers(0, x.ndim - 1)] * 2)))
    function, args = make(data.draw, x)
    kwargs = {} if make is not arange else {"dtype": data.draw(st.sampled_from([None, torch.float32]))}
    place = {"device": torch.device("meta")} if make is arange else {}
    left = False
    try:
        found = quick_result(Call(function, make.__name__, tuple(map(on_meta, args)), kwargs | place))
    except (RuntimeError, IndexError):
        left = True
    try:
        wanted = function(*args, **kwargs)
    except (RuntimeError, IndexError, ValueError, TypeError, AssertionError):
        assert left or found is None
        return
    if found is not None:
        assert (found.shape, found.dtype, found.is_meta) == (wanted.shape, wanted.dtype, True)
        assert found.stride() == wanted.stride() or found.is_contiguous() == wanted.is_contiguous()


IMAGES = torch.rand(2, 8, 6, 6)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (F.glu, (IMAGES, 1), {}),
        (F.pixel_shuffle, (IMAGES, 2), {}),
        (F.pad, (IMAGES, (1, 2, 0, 1)), {"mode": "reflect"}),
        (F.pad, (IMAGES, [1, 1, 9, 9], "replicate"), {}),
        (Tensor.norm, (IMAGES,), {"p": "fro", "dim": 1, "keepdim": True, "dtype": None}),
        (torch.tril, (IMAGES[0, 0],), {"diagonal": -1}),
        (torch.arange, (2, 9, 3), {"dtype": torch.float32, "device": torch.device("cpu")}),
        (Tensor.repeat, (IMAGES, 2, 1, 1, 3, 1), {}),
        (F.embedding, (torch.arange(3), IMAGES[0, 0]), {"padding_idx": 0}),
        (Tensor.masked_fill, (IMAGES, IMAGES > 0, -1e9), {}),
        (Tensor.flatten, (IMAGES.transpose(1, 2), 2), {}),
        (Tensor.reshape, (IMAGES.transpose(1, 2), 2, -1), {}),
        (torch.cat, ([IMAGES[0].transpose(0, 1)] * 2,), {"dim": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_networks_do_is_not_left_to_torch(function, args, kwargs):
    place = {"device": torch.device("meta")} if "device" in kwargs else {}
    found = quick_result(Call(function, function.__name__, tuple(map(on_meta, args)), kwargs | place))
    wanted = function(*args, **kwargs)
    assert (found.shape, found.dtype, found.stride()) == (wanted.shape, wanted.dtype, wanted.stride())


def test_what_is_a_view_stays_one():
    x = IMAGES.to("meta").transpose(0, 1)
    assert quick_result(Call(Tensor.flatten, "flatten", (x, 2), {})) is None
    assert quick_result(Call(Tensor.reshape, "reshape", (IMAGES.to("meta"), -1), {})) is None
