"""What scoring must leave alone, a model and what a process shares, in a form that compares bit for bit."""

from __future__ import annotations

import pickle
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def model_state(model: nn.Module) -> dict[str, Any]:
    """Everything about a model that scoring must leave alone, by name, in a form that compares bit for bit."""
    return {
        f"{name or type(model).__name__}.{key}": _comparable(value)
        for name, module in model.named_modules()
        for key, value in {"identity": id(module), **vars(module)}.items()
    }


def _comparable(value: Any) -> Any:
    """A value with its identity and, for containers, tensors, arrays and generators, its contents."""
    contents: Any
    if isinstance(value, Tensor):
        grad = _comparable(value.grad) if value.is_leaf else None
        contents = (tensor_bits(value), value.requires_grad, grad, list(value._backward_hooks or ()))
    elif isinstance(value, Mapping):
        contents = tuple((key, _comparable(item)) for key, item in value.items())
    elif isinstance(value, list | tuple | set):
        contents = tuple(_comparable(item) for item in value)
    elif isinstance(value, torch.Generator):
        contents = tensor_bits(value.get_state())
    elif isinstance(value, np.ndarray):
        contents = value.tobytes()
    else:
        return value if isinstance(value, bool | int | float | str | None) else id(value)
    return id(value), contents


def tensor_bits(value: Any) -> Any:
    """Dtype, device, shape and bytes of a tensor; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    raw = value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()
    return value.dtype, value.device, tuple(value.shape), value.stride(), raw


def global_state() -> dict[str, Any]:
    """What all code in the process shares: random generators, modes and defaults."""
    hooks = nn.modules.module
    return {
        "torch's generator": tensor_bits(torch.get_rng_state()),
        "numpy's generator": pickle.dumps(np.random.get_state()),
        "Python's generator": random.getstate(),
        "gradient mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
        "default dtype": torch.get_default_dtype(),
        "function modes": torch._C._len_torch_function_stack(),
        "hooks on all modules": (len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks)),
    }
