"""Devices are checked before anything runs on them."""

from __future__ import annotations

import pytest
import torch

from zerocost.base.device import check_device
from zerocost.base.errors import InputError


@pytest.mark.parametrize("device", [None, "cpu", torch.device("cpu")])
def test_devices_that_are_there_pass(device: str | torch.device | None) -> None:
    check_device(device)


@pytest.mark.parametrize("device", [0, 3.5, True, ["cpu"]])
def test_what_names_no_device_is_refused(device: object) -> None:
    with pytest.raises(InputError, match="device must be a name such as cpu or cuda:1, or a torch"):
        check_device(device)  # type: ignore[arg-type]
