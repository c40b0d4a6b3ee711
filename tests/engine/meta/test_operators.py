from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from zerocost.engine.meta.operators import quick_results, slid


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, device="meta", dtype=dtype)


class Compared(TorchDispatchMode):
    """Compares quick results with those of torch; `known` are the operators that have any."""

    def __init__(self):
        super().__init__()
        self.known = set()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        results = operator(*args, **(kwargs or {}))
        quick = quick_results(operator, args, kwargs or {})
        if quick is not None:
            self.known.add(operator.overloadpacket.__name__)
            assert described(quick) == described(results)
        return results


def described(results):
    listed = results if isinstance(results, tuple | list) else [results]
    return [(r.shape, r.stride(), r.dtype, r.device.type) for r in listed]


IMAGES, LAYERS, TOKENS = meta(2, 8, 6, 5), meta(8), meta(2, 5, 6)
CALLS = {
    "relu": lambda: F.relu(IMAGES),
    "relu_": lambda: IMAGES.clone().relu_(),
    "gelu": lambda: F.gelu(TOKENS, approximate="tanh"),
    "hardtanh": lambda: F.relu6(IMAGES),
    "hardswish": lambda: F.hardswish(IMAGES),
    "leaky_relu": lambda: F.leaky_relu(IMAGES),
    "pow": lambda: IMAGES**2,
    "add": lambda: torch.add(IMAGES, IMAGES, alpha=2),
    "sub": lambda: (IMAGES - 1, LAYERS[:, None, None] - IMAGES),
    "mul_": lambda: IMAGES.clone().mul_(LAYERS[:, None, None]),
    "div": lambda: TOKENS / TOKENS,
    "mean": lambda: (
        TOKENS.mean(),
        meta().mean(0),
        TOKENS.mean(-1, keepdim=True),
        IMAGES.mean((2, 3)),
        F.adaptive_avg_pool2d(IMAGES, 1),
    ),
    "addmm": lambda: F.linear(TOKENS, meta(3, 6), meta(3)),
    "convolution": lambda: F.conv1d(TOKENS, meta(4, 5, 3), padding=1),
    "avg_pool2d": lambda: F.avg_pool2d(IMAGES, 3, 2, 1, count_include_pad=False),
    "native_layer_norm": lambda: F.layer_norm(TOKENS, (5, 6)),
    "native_group_norm": lambda: F.group_norm(IMAGES, 4, LAYERS, LAYERS),
    "native_batch_norm": lambda: (
        F.batch_norm(IMAGES, LAYERS, LAYERS, LAYERS, LAYERS),
        F.batch_norm(IMAGES, LAYERS, LAYERS, training=True),
        F.instance_norm(IMAGES),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_results_look_like_those_of_torch(name):
    with Compared() as seen:
        CALLS[name]()
    assert name in seen.known


@pytest.mark.parametrize(
    "call",
    [
        lambda: IMAGES.to(memory_format=torch.channels_last).relu(),
        lambda: TOKENS.transpose(1, 2) + TOKENS.transpose(1, 2),
        lambda: IMAGES[:, :1] + IMAGES[:1],
        lambda: meta(2, 1) + meta(1, 3),
        lambda: meta(3, dtype=torch.bfloat16).relu(),
        lambda: meta(3) + meta(3, dtype=torch.float64),
        lambda: meta(3, dtype=torch.int64) + 1.0,
        lambda: meta(3) * 1j,
        lambda: meta(3).mean(dtype=torch.float64),
        lambda: torch.ones(3).relu(),
        lambda: meta(0, 3).relu(),
        lambda: torch.addmm(meta(1), meta(2, 3), meta(3, 4)),
        lambda: torch.addmm(meta(4), meta(2, 3), meta(3, 4), beta=2),
        lambda: F.conv2d(IMAGES, meta(4, 8, 3, 3).to(memory_format=torch.channels_last)),
        lambda: F.conv_transpose2d(IMAGES, meta(8, 4, 3, 3)),
    ],
)
def test_others_are_left_to_torch(call):
    with Compared() as seen:
        call()
    assert not seen.known


@given(st.data())
def test_windows_slide_as_those_of_torch(data):
    sizes = [data.draw(st.integers(1, 9)) for _ in range(2)]
    kernel = [data.draw(st.integers(1, 4)) for _ in range(2)]
    stride = [data.draw(st.integers(1, 3)) for _ in range(2)]
    padding = [data.draw(st.integers(0, size // 2)) for size in kernel]
    ceil = data.draw(st.booleans())
    try:
        wanted = F.avg_pool2d(meta(1, 1, *sizes), kernel, stride, padding, ceil_mode=ceil).shape[2:]
    except RuntimeError:
        assume(False)
    assert slid(sizes, kernel, stride, padding, [1, 1], ceil) == [*wanted]
    with Compared():
        F.conv2d(meta(1, 1, *sizes), meta(2, 1, *kernel), None, stride, [pad + 3 for pad in padding])


def test_the_compiler_of_torch_is_not_imported_to_see_what_is_in_memory():
    script = """
import sys, torch, zerocost as zc
space = zc.spaces.get("nasbench201")
model = space.build(next(iter(space)), zc.Fidelity(width=0.5, depth=0.2))
assert all(zc.score(model, torch.rand(2, 3, 8, 8), ["peak_memory", "training_memory"]).values())
sys.exit("torch._dynamo" in sys.modules or "sympy" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
