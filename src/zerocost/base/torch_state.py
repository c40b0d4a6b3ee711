"""torch's global state, and filters of warnings: one user at a time, neutral while zerocost works, then as before."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch._tensor_str import PRINT_OPTS
from torch.nn.modules import module as modules
from torch.nn.utils import parametrize
from torch.overrides import _get_current_function_mode_stack, _pop_mode, _push_mode
from torch.utils import _device

from zerocost.base.process_state import State, kept, kept_process

LOCK = threading.RLock()
"""Held by whoever needs the global random state, torch's defaults or a model to itself: threads take turns."""


def _default_device() -> torch.device | None:
    """The device that `torch.set_default_device` has set; None without one."""
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else context.device


def _or_none(read: Callable[[], Any]) -> Any:
    """What torch says of its precision; None where a user's settings for single operations contradict each other."""
    try:
        return read()
    except RuntimeError:
        return None


def _allow_cudnn_tf32(allow: bool | None) -> None:
    if allow is not None:
        torch.backends.cudnn.allow_tf32 = allow


def _set_matmul_precision(precision: str | None) -> None:
    if precision is not None:
        torch.set_float32_matmul_precision(precision)


def _precision_switches() -> Iterator[tuple[Any, str, Any]]:
    """What can lower the precision of float32 below float32, since torch 2.9: object, attribute and its harmless value;
    single operations first."""
    if not hasattr(torch.backends, "fp32_precision"):
        return
    operations = {torch.backends.cuda: ("matmul",), torch.backends.cudnn: ("conv", "rnn")}
    operations[torch.backends.mkldnn] = ("matmul", "conv", "rnn")
    yield from ((getattr(lib, name), "fp32_precision", "ieee") for lib, names in operations.items() for name in names)
    for library in (torch.backends.cudnn, torch.backends.mkldnn, torch.backends):
        yield library, "fp32_precision", "none"


def _warning_filters() -> tuple[list[Any], list[Any]]:
    """The list of filters that is in use, and what it holds."""
    return warnings.filters, list(warnings.filters)  # type: ignore[return-value]


def _restore_filters(before: tuple[list[Any], list[Any]]) -> None:
    """Put filters back, but not where a `catch_warnings`, as of another thread, has begun or ended meanwhile."""
    used, filters = before
    if warnings.filters is used:
        with warnings.catch_warnings():  # at its end, warnings are told of new filters
            used[:] = filters


def _function_modes() -> tuple[list[Any], Any]:
    """The modes that see the calls of this thread, the innermost last, and the device of `with torch.device`."""
    return _get_current_function_mode_stack(), _device.CURRENT_DEVICE  # type: ignore[no-untyped-call]


def _set_function_modes(before: tuple[list[Any], Any]) -> None:
    for _ in _get_current_function_mode_stack():  # type: ignore[no-untyped-call]
        _pop_mode()  # type: ignore[no-untyped-call]
    for mode in before[0]:
        _push_mode(mode)  # type: ignore[no-untyped-call]
    _device.CURRENT_DEVICE = before[1]


def _set_hooks(before: list[dict[Any, Any]]) -> None:
    for hooks, saved in zip(_HOOKS, before, strict=True):
        hooks.clear()
        hooks.update(saved)


def _set_cpu_autocast(before: tuple[bool, torch.dtype]) -> None:
    torch.set_autocast_enabled("cpu", before[0])
    torch.set_autocast_dtype("cpu", before[1])


_LEAST = sys.float_info.min
_HOOKS: list[dict[Any, Any]] = [
    v for name, v in vars(modules).items() if name.startswith("_global_") and isinstance(v, dict)
]
"""Those on all modules of the process, by kind."""
_PRECISION_SWITCHES = tuple(_precision_switches())
_DEFAULTS: State = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (_default_device, torch.set_default_device),
    (_function_modes, _set_function_modes),
    (lambda: [dict(hooks) if hooks else {} for hooks in _HOOKS], _set_hooks),
    (lambda: _LEAST / 2 == 0, torch.set_flush_denormal),
    (lambda: (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")), _set_cpu_autocast),
    (partial(_or_none, torch.get_float32_matmul_precision), _set_matmul_precision),
    (partial(_or_none, lambda: torch.backends.cudnn.allow_tf32), _allow_cudnn_tf32),
    *((partial(getattr, owner, name), partial(setattr, owner, name)) for owner, name, _ in _PRECISION_SWITCHES),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda mode: torch.autograd.set_detect_anomaly(*mode),
    ),
    *(
        (partial(getattr, parametrize, name), partial(setattr, parametrize, name))
        for name in ("_cache_enabled", "_cache")
    ),
    (torch.get_num_threads, torch.set_num_threads),
    (lambda: dict(vars(PRINT_OPTS)), vars(PRINT_OPTS).update),
    (_warning_filters, _restore_filters),
    *(
        (partial(getattr, library, name), partial(setattr, library, name))
        for library, names in (
            (torch.backends.mkldnn, ("enabled", "deterministic")),
            (torch.backends.cudnn, ("enabled", "benchmark", "deterministic")),
        )
        for name in names
    ),
)
"""How what a process or thread has one of is read and set."""


@contextmanager
def kept_defaults() -> Iterator[None]:
    """torch's defaults are afterwards as before: dtype, device, precision of products, determinism, gradient, anomaly
    and autocast mode, modes that see calls, hooks on all modules, flushing of tiny numbers, number of threads, print
    options, and the switches of oneDNN and cuDNN; also the filters of warnings.

    >>> with kept_defaults():
    ...     torch.set_default_dtype(torch.float64)
    >>> torch.get_default_dtype()
    torch.float32
    """
    with kept(_DEFAULTS):
        yield


@contextmanager
def neutral_torch() -> Iterator[None]:
    """torch as in a new process (float32, CPU, exact products), for one thread at a time; all is given back after, and
    so is what the process has one of.

    >>> torch.set_default_dtype(torch.float64)
    >>> with neutral_torch():
    ...     torch.zeros(1).dtype
    torch.float32
    >>> torch.zeros(1).dtype
    torch.float64
    >>> torch.set_default_dtype(torch.float32)
    """
    with LOCK, kept_process(), kept_defaults():
        if torch.get_default_dtype() != torch.float32:
            torch.set_default_dtype(torch.float32)
        torch.set_flush_denormal(False)
        parametrize._cache_enabled = 0
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        for owner, name, exact in reversed(_PRECISION_SWITCHES):
            if getattr(owner, name) not in {exact, "none"}:
                setattr(owner, name, exact)
        if torch.are_deterministic_algorithms_enabled():
            torch.use_deterministic_algorithms(False)
        default = _default_device()
        if default is not None and default.type != "cpu":
            torch.set_default_device(None)
        with nullcontext() if torch.empty(0).device.type == "cpu" else torch.device("cpu"):
            yield
