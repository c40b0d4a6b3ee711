from __future__ import annotations

import threading

import pytest
import torch

from zerocost.base.torch_state import kept_defaults, neutral_torch


def changed() -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_grad_enabled(False)
    torch.autograd.set_detect_anomaly(True, check_nan=False)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.backends.mkldnn.enabled = False
    torch.backends.mkldnn.deterministic = True
    torch.backends.cudnn.benchmark = True


def defaults() -> tuple[object, ...]:
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.is_grad_enabled(),
        (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        torch.get_num_threads(),
        (torch.backends.mkldnn.enabled, torch.backends.mkldnn.deterministic, torch.backends.cudnn.benchmark),
    )


@pytest.fixture
def own_defaults():
    """Gives torch's defaults back whatever a test did to them."""
    with kept_defaults():
        yield


def test_what_a_block_changes_comes_back():
    before = defaults()
    with kept_defaults():
        changed()
        assert defaults() != before
    assert defaults() == before
    with pytest.raises(KeyError), kept_defaults():
        changed()
        raise KeyError
    assert defaults() == before


def test_a_neutral_block_is_as_in_a_new_process(own_defaults):
    before = defaults()
    changed()
    own = defaults()
    with neutral_torch():
        assert defaults()[:4] == before[:4]
        assert torch.zeros(2).device.type == "cpu"
        changed()
    assert defaults() == own


def test_threads_take_turns():
    inside, most = [], []

    def enter() -> None:
        for _ in range(20):
            with neutral_torch():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) == 80
