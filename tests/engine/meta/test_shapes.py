from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import zerocost as zc
from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import function_name
from zerocost.engine.meta.shapes import quick_result

ATTEND = F.scaled_dot_product_attention
CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, device="meta", dtype=dtype)


@given(st.data())
def test_a_convolution_has_the_shape_that_torch_says_or_none_where_torch_raises(data):
    dimensions = data.draw(st.integers(1, 3))

    def numbers(least, most):
        one = st.integers(least, most)
        return data.draw(st.one_of(one, st.tuples(*[one] * dimensions)))

    groups, per_group = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    sizes = [data.draw(st.integers(1, 9)) for _ in range(dimensions)]
    kernels = [data.draw(st.integers(1, 4)) for _ in range(dimensions)]
    inputs, weight = meta(2, groups * per_group, *sizes), meta(2 * groups, per_group, *kernels)
    args = (inputs, weight, None, numbers(1, 3), numbers(0, 2), numbers(1, 2), groups)
    function = CONVOLUTIONS[dimensions]
    found = quick_result(Call(function, f"conv{dimensions}d", args, {}))
    try:
        wanted = function(*args)
    except RuntimeError:
        assert found is None
    else:
        assert (found.shape, found.dtype, found.device) == (wanted.shape, wanted.dtype, wanted.device)


@given(st.data())
def test_pooling_has_the_shape_that_a_real_run_has_or_none_where_that_raises(data):
    dimensions, kind = data.draw(st.integers(1, 3)), data.draw(st.sampled_from(["avg", "max"]))
    x = torch.rand(2, 1, *(data.draw(st.integers(1, 5)) for _ in range(dimensions)))
    settings = [data.draw(st.integers(least, 3)) for least in (0, 1, 0)]
    ceil, name = data.draw(st.booleans()), f"{kind}_pool{dimensions}d"
    found = quick_result(Call(getattr(F, name), name, (x.to("meta"), *settings), {"ceil_mode": ceil}))
    try:
        wanted = getattr(F, name)(x, *settings, ceil_mode=ceil)
    except RuntimeError:
        assert found is None
    else:
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)


@pytest.mark.parametrize(
    "call",
    [
        Call(F.linear, "linear", (meta(4, 5, 3), meta(2, 3), meta(2)), {}),
        Call(F.linear, "linear", (meta(4, 3),), {"weight": meta(2, 3), "bias": None}),
        Call(F.adaptive_avg_pool1d, "adaptive_avg_pool1d", (meta(4, 5, 8), 3), {}),
        Call(F.adaptive_avg_pool2d, "adaptive_avg_pool2d", (meta(4, 5, 8, 8), (1, 3)), {}),
        Call(F.adaptive_avg_pool3d, "adaptive_avg_pool3d", (meta(5, 8, 8, 8),), {"output_size": 1}),
        Call(F.avg_pool1d, "avg_pool1d", (meta(4, 5, 8), 3), {}),
        Call(F.avg_pool2d, "avg_pool2d", (meta(4, 5, 7, 8), 2, 2), {"ceil_mode": True}),
        Call(F.avg_pool2d, "avg_pool2d", (meta(4, 5, 8, 8), (3, 2), 1, (1, 0), False, False), {}),
        Call(ATTEND, "scaled_dot_product_attention", (meta(2, 5, 3, 4).transpose(1, 2),) * 3, {"is_causal": True}),
        Call(ATTEND, "scaled_dot_product_attention", (meta(2, 5, 4), meta(2, 7, 4), meta(2, 7, 6), meta(5, 7)), {}),
        Call(torch.tanh, "tanh", (meta(4, 5),), {}),
        Call(F.hardtanh, "hardtanh", (meta(4, 5), 0.0, 6.0), {"inplace": False}),
        Call(F.conv_transpose1d, "conv_transpose1d", (meta(2, 4, 5), meta(4, 3, 3)), {"stride": 2}),
        Call(
            F.conv_transpose2d, "conv_transpose2d", (meta(2, 4, 5, 6), meta(4, 3, 2, 3), None, 2, (1, 0), 1, 2, 2), {}
        ),
        Call(F.max_pool1d, "max_pool1d", (meta(4, 5, 8), 3), {}),
        Call(F.max_pool2d, "max_pool2d", (meta(4, 5, 7, 8), 3, 2, 1), {"ceil_mode": True}),
        Call(F.max_pool2d, "max_pool2d", (meta(4, 5, 9, 8), (3, 2), 1, (1, 0), 2), {}),
        Call(F.max_pool3d, "max_pool3d", (meta(1, 5, 8, 8, 8), 2), {"stride": None, "dilation": 1}),
        Call(F.adaptive_max_pool2d, "adaptive_max_pool2d", (meta(4, 5, 8, 8), 2), {"return_indices": False}),
        Call(F.interpolate, "interpolate", (meta(2, 3, 5, 7),), {"scale_factor": 1.5}),
        Call(F.interpolate, "interpolate", (meta(2, 3, 5, 7), 4, None, "bilinear", True), {}),
        Call(F.interpolate, "interpolate", (meta(2, 3, 5), (4,)), {"mode": "linear"}),
        Call(torch.exp, "exp", (meta(4, 5),), {}),
        Call(torch.Tensor.clamp, "clamp", (meta(4, 5),), {"min": 0.0}),
        Call(torch.Tensor.pow, "pow", (meta(4, 5), 2), {}),
        Call(F.softmax, "softmax", (meta(4, 5),), {"dim": 1, "_stacklevel": 3, "dtype": None}),
        Call(torch.flip, "flip", (meta(4, 5), (1,)), {}),
        Call(torch.sub, "sub", (meta(4, 3), meta(3)), {}),
        Call(torch.maximum, "maximum", (meta(4, 3), meta(4, 1)), {}),
        Call(torch.gt, "gt", (meta(4, 3), 0), {}),
        Call(torch.where, "where", (meta(4, 3, dtype=torch.bool), meta(4, 3), 0.5), {}),
        Call(torch.where, "where", (meta(3, dtype=torch.bool), meta(4, 3), meta(3)), {}),
        Call(torch.matmul, "matmul", (meta(2, 4, 3), meta(2, 5, 3).transpose(1, 2)), {}),
        Call(torch.matmul, "matmul", (meta(2, 4, 3), meta(3, 5)), {}),
        Call(torch.matmul, "matmul", (meta(2, 6, 4, 3), meta(1, 3, 5)), {}),
        Call(torch.bmm, "bmm", (meta(2, 4, 3), meta(2, 3, 5)), {}),
        Call(torch.mean, "mean", (meta(2, 4, 3),), {}),
        Call(torch.mean, "mean", (meta(2, 4, 3), (0, -1)), {"keepdim": True}),
        Call(torch.Tensor.sum, "sum", (meta(2, 4, 3).transpose(0, 1), 1), {}),
        Call(torch.amax, "amax", (meta(2, 4, 3),), {"dim": (1, 2)}),
        Call(torch.var, "var", (meta(2, 4, 3), 1), {"unbiased": False, "keepdim": True}),
        Call(torch.std, "std", (meta(2, 4, 3), [1], True, True), {}),
        Call(torch.norm, "norm", (meta(2, 4, 3),), {}),
        Call(torch.Tensor.norm, "norm", (meta(2, 4, 3), 2), {"dim": -1, "keepdim": True}),
        Call(F.normalize, "normalize", (meta(2, 4, 3),), {"p": 2.0, "dim": 1, "eps": 1e-12, "out": None}),
        Call(torch.einsum, "einsum", ("bhid,bhjd->bhij", meta(2, 3, 4, 5), meta(2, 3, 6, 5)), {}),
        Call(torch.einsum, "einsum", ("ij, kj -> ik", [meta(3, 4), meta(5, 4)]), {}),
        Call(torch.cat, "cat", ([meta(2, 4, 3), meta(2, 1, 3)], 1), {}),
        Call(torch.cat, "cat", ((meta(2, 4, 3),) * 3,), {"dim": -1}),
        Call(torch.stack, "stack", ([meta(2, 3)] * 4, -1), {}),
        Call(torch.mul, "mul", (meta(4, 3), 2.0), {}),
        Call(torch.mul, "mul", (meta(4, 2, 3), meta(2, 1)), {}),
        Call(torch.add, "add", (meta(3), meta(2, 3)), {}),
        Call(torch.add, "add", (meta(2, 1), meta(1, 3)), {}),
        Call(torch.mul, "mul", (meta(4, 3).T, 2.0), {}),
        Call(torch.mul, "mul", (meta(4, 3), meta(3, 4).T), {}),
        Call(torch.mul, "mul", (meta(4, 3), meta(4, 1, dtype=torch.bool)), {}),
        Call(torch.maximum, "maximum", (meta(4, 3).T, meta(2, 3, 4)), {}),
        Call(torch.Tensor.__rpow__, "rpow", (meta(4, 3), 2.0), {}),
        Call(torch.Tensor.__rdiv__, "rdiv", (meta(4, 3), 2), {}),
        Call(torch.Tensor.eq, "eq", (meta(1, 1, 6, 6)[:, :, :4, :4], 0), {}),
    ],
    ids=lambda call: call.name,
)
def test_other_functions_have_the_shape_that_torch_says(call):
    found, wanted = quick_result(call), call.function(*call.args, **call.kwargs)
    assert (found.shape, found.dtype, found.device) == (wanted.shape, wanted.dtype, wanted.device)
    assert found.stride() == wanted.stride()


def test_neither_the_compiler_of_torch_nor_sympy_is_imported_to_count_or_to_score():
    script = """
import sys, torch, zerocost as zc
space = zc.spaces.get("nasbench201")
model = space.build(next(iter(space)), zc.Fidelity(width=0.5, depth=0.2))
assert zc.score(model, torch.rand(2, 3, 8, 8), "flops")["flops"]
assert all(zc.score(model, (torch.rand(4, 3, 8, 8), torch.arange(4)), zc.combine.default.proxies).values())


class UNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ConvTranspose2d(4, 4, 2, 2)
        self.out = torch.nn.Conv2d(12, 2, 1)

    def forward(self, x):
        wide = self.down(x).abs()
        small = torch.nn.functional.max_pool2d(wide, 2)
        grown = torch.nn.functional.interpolate(small.softmax(1), scale_factor=2, mode="bilinear")
        return self.out(torch.cat([wide, self.up(small), grown], 1)) - x.mean((1, 2, 3), keepdim=True)


assert zc.score(UNet(), torch.rand(2, 3, 8, 8), "flops")["flops"]
vit = next(iter(zc.spaces.get("vit")))
assert zc.score(zc.spaces.get("vit").build(vit, zc.Fidelity(width=0.25)), torch.rand(1, 3, 224, 224), "flops")["flops"]
gpt = next(iter(zc.spaces.get("gpt")))
words = zc.spaces.get("gpt").build(gpt, zc.Fidelity(width=0.25, depth=0.2))
assert not zc.score(words, torch.arange(6).reshape(2, 3), "flops").failures
small = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
assert zc.score(small, (torch.rand(4, 3), torch.arange(4) % 2), "grasp")["grasp"]
sys.exit("torch._dynamo" in sys.modules or "sympy" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "call",
    [
        Call(F.conv2d, "conv2d", (meta(3, 8, 8), meta(4, 3, 3, 3)), {}),
        Call(F.avg_pool2d, "avg_pool2d", (meta(3, 8, 8), 2), {}),
        Call(F.conv2d, "conv2d", (meta(2, 3, 8, 8), meta(4, 3, 3, 3), None, 0), {}),
        Call(F.avg_pool2d, "avg_pool2d", (meta(2, 3, 8, 8), 2, 2, 2), {}),
        Call(F.avg_pool2d, "avg_pool2d", (meta(2, 3, 8, 8), 2, (0, 0)), {}),
        Call(F.avg_pool2d, "avg_pool2d", (meta(2, 3, 8, 8), 2, 2, -1), {}),
        Call(F.avg_pool2d, "avg_pool2d", (meta(2, 3, 8, 8), 0, 1), {}),
        Call(F.max_pool2d, "max_pool2d", (meta(2, 3, 8, 8), 2, 2, 0, 0), {}),
        Call(ATTEND, "scaled_dot_product_attention", (meta(1, 5, 4), meta(2, 5, 4), meta(2, 5, 4)), {}),
        Call(ATTEND, "scaled_dot_product_attention", (*[meta(1, 5, 4)] * 3, meta(2, 5, 5)), {}),
        Call(ATTEND, "scaled_dot_product_attention", (*[meta(1, 5, 4)] * 3, meta(5, 5)), {"is_causal": True}),
        Call(ATTEND, "scaled_dot_product_attention", (*[meta(1, 5, 4)] * 3, meta(5, 5, dtype=torch.int64)), {}),
        Call(F.linear, "linear", (meta(4, 3), meta(2, 3), meta(3)), {}),
        Call(F.conv2d, "conv2d", (meta(1, 3, 8, 8), meta(4, 3, 3, 3)), {"padding": "same"}),
        Call(F.conv2d, "conv2d", (meta(1, 4, 8, 8), meta(4, 3, 3, 3)), {}),
        Call(F.conv2d, "conv2d", (torch.ones(1, 3, 8, 8), torch.ones(4, 3, 3, 3)), {}),
        Call(torch.add, "add", (meta(3), meta(3, dtype=torch.float64)), {}),
        Call(torch.add, "add", (meta(3, dtype=torch.int64), 1.0), {}),
        Call(torch.add, "add", (meta(3), 1j), {}),
        Call(torch.Tensor.add_, "add", (meta(3), meta(2, 3)), {}),
        Call(torch.Tensor.gt_, "gt", (meta(3), 0), {}),
        Call(torch.add, "add", (meta(3), meta(3)), {"out": meta(3)}),
        Call(F.linear, "linear", (meta(1, 3), meta(2, 4)), {}),
        Call(F.linear, "linear", (meta(1, 3), meta(3)), {}),
        Call(F.adaptive_avg_pool2d, "adaptive_avg_pool2d", (meta(1, 3, 8, 8), (None, 1)), {}),
        Call(torch.relu, "relu", (meta(1, 3),), {}),
        Call(F.conv_transpose2d, "conv_transpose2d", (meta(1, 3, 8, 8), meta(4, 3, 3, 3)), {}),
        Call(F.conv_transpose2d, "conv_transpose2d", (meta(1, 3, 8, 8), meta(3, 3, 3, 3), None, 1, 0, 1), {}),
        Call(F.max_pool2d, "max_pool2d", (meta(1, 3, 8, 8), 2), {"return_indices": True}),
        Call(F.adaptive_max_pool1d, "adaptive_max_pool1d", (meta(1, 3, 8), 2), {"return_indices": True}),
        Call(torch.adaptive_max_pool1d, "adaptive_max_pool1d", (meta(1, 3, 8), 2), {}),
        Call(F.adaptive_avg_pool2d, "adaptive_avg_pool2d", (meta(1, 2, 3, 8, 8), 2), {}),
        Call(F.interpolate, "interpolate", (meta(1, 3, 8), 4, None, "bilinear"), {}),
        Call(F.interpolate, "interpolate", (meta(1, 3, 8, 8), 4, 2), {}),
        Call(F.interpolate, "interpolate", (meta(1, 3, 8, 8), (4,), 2), {}),
        Call(F.interpolate, "interpolate", (meta(1, 3, 8, 8), 4, None, "nearest", True), {}),
        Call(torch.exp, "exp", (meta(3, dtype=torch.int64),), {}),
        Call(torch.pow, "pow", (meta(3), meta(3)), {}),
        Call(torch.pow, "pow", (meta(3), 1j), {}),
        Call(F.softmax, "softmax", (meta(4, 3), 1), {"dtype": torch.float64}),
        Call(torch.where, "where", (meta(4, 1, dtype=torch.bool), meta(4, 1), meta(3)), {}),
        Call(torch.where, "where", (meta(3, dtype=torch.bool), 1.0, 2.0), {}),
        Call(torch.matmul, "matmul", (meta(4, 3), meta(2, 3, 4)), {}),
        Call(torch.matmul, "matmul", (meta(4, 3), meta(4, 3)), {}),
        Call(torch.mm, "mm", (meta(2, 4, 3), meta(3, 4)), {}),
        Call(torch.bmm, "bmm", (meta(2, 4, 3), meta(1, 3, 4)), {}),
        Call(torch.mean, "mean", (meta(4, 3),), {"dtype": torch.float64}),
        Call(torch.mean, "mean", (meta(4, 3), 2), {}),
        Call(torch.mean, "mean", (meta(4, 3), (1, -1)), {}),
        Call(torch.logsumexp, "logsumexp", (meta(4, 3), ()), {}),
        Call(torch.Tensor.norm, "norm", (meta(4, 3), 2, 1, False, torch.float64), {}),
        Call(torch.softmax, "softmax", (meta(4, 3), 2), {}),
        Call(torch.flip, "flip", (meta(4, 3), (2,)), {}),
        Call(F.normalize, "normalize", (meta(3),), {}),
        Call(torch.var, "var", (meta(4, 3), True), {}),
        Call(torch.einsum, "einsum", ("bid,bjd->jbi", meta(2, 4, 5), meta(2, 6, 5)), {}),
        Call(torch.einsum, "einsum", ("bid,bjd->b", meta(2, 4, 5), meta(2, 6, 5)), {}),
        Call(torch.einsum, "einsum", ("...d,...d->...", meta(4, 5), meta(4, 5)), {}),
        Call(torch.einsum, "einsum", ("ii,ij->ij", meta(5, 5), meta(5, 4)), {}),
        Call(torch.einsum, "einsum", ("bid,bjd->bijk", meta(2, 4, 5), meta(2, 6, 5)), {}),
        Call(torch.einsum, "einsum", ("ij,jk,kl->il", meta(3, 4), meta(4, 5), meta(5, 6)), {}),
        Call(torch.cat, "cat", ([meta(2, 3), meta(3, 2)],), {}),
        Call(torch.cat, "cat", ([meta(2, 3), meta(0)],), {}),
        Call(torch.cat, "cat", ([meta(0, 0), meta(0)], 1), {}),
        Call(torch.cat, "cat", ([meta(2, 3), meta(2, 3, dtype=torch.float64)],), {}),
        Call(torch.stack, "stack", ([meta(2, 3), meta(3)],), {}),
    ],
    ids=lambda call: f"{call.name} of {', '.join(str(tuple(getattr(a, 'shape', ()))) for a in call.args)}",
)
def test_other_calls_are_left_to_torch(call):
    assert quick_result(call) is None


@pytest.mark.parametrize("function", [torch.Tensor.add_, torch.Tensor.__imul__, torch.Tensor.exp_])
def test_what_is_changed_in_place_is_returned(function):
    x = meta(2, 3)
    args = (x,) if function is torch.Tensor.exp_ else (x, meta(3))
    assert quick_result(Call(function, function_name(function), args, {})) is x


def test_sums_in_place_keep_what_was_counted():
    class Residual(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.Conv2d(3, 3, 1)

        def forward(self, x):
            y = self.one(x)
            y += x
            x = self.other(y)
            x *= y
            return x.add_(y).mean((2, 3))

    card = zc.score(Residual(), torch.rand(2, 3, 4, 4), "flops,depth")
    assert card["flops"] == 16 * (27 * 3 + 9)
    assert card["depth"] == 2
