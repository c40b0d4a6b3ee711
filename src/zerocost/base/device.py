"""Devices, checked before anything runs on them."""

from __future__ import annotations

import torch

from zerocost.base.errors import InputError, first_line


def check_device(device: str | torch.device | None) -> None:
    """`InputError` for a device that this torch or this machine does not have."""
    if not isinstance(device, str | torch.device | None):
        raise InputError(f"device must be a name such as cpu or cuda:1, or a torch.device, but got {device!r}")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {str(device)!r} cannot be used: {first_line(error)}") from None


def check_place(device: str | torch.device | None, ray: str | None) -> None:
    """`InputError` for a device that this machine does not have, unless a cluster does the work."""
    if ray is None:
        check_device(device)
