from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from zerocost.engine.calls.functions import function_name, is_in_place, is_rectifier


@pytest.mark.parametrize(
    "function",
    [
        *(torch.relu, torch.relu_, F.relu, F.relu_, torch.Tensor.relu, torch.Tensor.relu_),
        *(torch.ops.aten.relu, torch.ops.aten.relu_.default),
    ],
)
def test_every_spelling_has_one_name(function):
    assert function_name(function) == "relu"


@pytest.mark.parametrize(
    ("function", "kwargs", "writes"),
    [
        (torch.relu_, {}, True),
        (torch.Tensor.__iadd__, {}, True),
        (torch.Tensor.__setitem__, {}, True),
        (torch.ops.aten.add_.Tensor, {}, True),
        (F.silu, {"inplace": True}, True),
        (F.silu, {"inplace": False}, False),
        (torch.Tensor.__add__, {}, False),
        (torch.Tensor.__invert__, {}, False),
        (torch.Tensor.__getitem__, {}, False),
        (torch.Tensor.__int__, {}, False),
    ],
)
def test_writing_into_the_first_argument_is_told_by_the_name(function, kwargs, writes):
    assert is_in_place(function, kwargs) is writes


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "counts"),
    [
        ("gelu", (), {}, True),
        ("clamp", (None, 0), {}, True),
        ("clamp", (None,), {"min": 0.0}, True),
        ("clamp", (None, -1.0, 1.0), {}, False),
        ("clamp", (None,), {"max": 0}, False),
        ("clip", (None, 0), {}, True),
        ("hardtanh", (None,), {"min_val": 0.0, "max_val": 6.0}, True),
        ("hardtanh", (None, -1.0, 1.0), {}, False),
        ("threshold", (None, 0.0, 0.0), {}, True),
        ("threshold", (None, 0.5, 0.0), {}, False),
        ("tanh", (), {}, False),
        ("sigmoid", (), {}, False),
    ],
)
def test_an_activation_has_its_hinge_at_zero(name, args, kwargs, counts):
    assert is_rectifier(name, args, kwargs) is counts
