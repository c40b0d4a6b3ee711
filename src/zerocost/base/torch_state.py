"""torch's global state: one user at a time, neutral while zerocost works, and given back as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

LOCK = threading.RLock()
"""Held by whoever needs the global random state, torch's defaults or a model to itself: threads take turns."""


@contextmanager
def kept_defaults() -> Iterator[None]:
    """torch's defaults (dtype, device, precision of products, determinism, gradient mode) are afterwards as before.

    >>> with kept_defaults():
    ...     torch.set_default_dtype(torch.float64)
    >>> torch.get_default_dtype()
    torch.float32
    """
    dtype, device, precision = torch.get_default_dtype(), _default_device(), torch.get_float32_matmul_precision()
    determined = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    gradients = torch.is_grad_enabled()
    try:
        yield
    finally:
        if torch.get_default_dtype() != dtype:
            torch.set_default_dtype(dtype)
        if _default_device() != device:
            torch.set_default_device(device)
        if torch.get_float32_matmul_precision() != precision:
            torch.set_float32_matmul_precision(precision)
        if torch.are_deterministic_algorithms_enabled() != determined[0]:
            torch.use_deterministic_algorithms(determined[0], warn_only=determined[1])
        if torch.is_grad_enabled() != gradients:
            torch.set_grad_enabled(gradients)


@contextmanager
def neutral_torch() -> Iterator[None]:
    """torch as in a new process (float32, CPU, exact products), for one thread at a time; all is given back after.

    >>> torch.set_default_dtype(torch.float64)
    >>> with neutral_torch():
    ...     torch.zeros(1).dtype
    torch.float32
    >>> torch.zeros(1).dtype
    torch.float64
    >>> torch.set_default_dtype(torch.float32)
    """
    with LOCK, kept_defaults():
        if torch.get_default_dtype() != torch.float32:
            torch.set_default_dtype(torch.float32)
        if torch.get_float32_matmul_precision() != "highest":
            torch.set_float32_matmul_precision("highest")
        if torch.are_deterministic_algorithms_enabled():
            torch.use_deterministic_algorithms(False)
        default = _default_device()
        if default is not None and default.type != "cpu":
            torch.set_default_device(None)
        with nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu"):
            yield


def _default_device() -> torch.device | None:
    """The device that `torch.set_default_device` has set; None without one."""
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else context.device
