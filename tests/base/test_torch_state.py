from __future__ import annotations

import threading
import warnings

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
    torch.backends.mkldnn.conv.fp32_precision = "tf32"
    torch.set_printoptions(precision=2)
    warnings.simplefilter("ignore")


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
        (torch.backends.cudnn.conv.fp32_precision, torch.backends.mkldnn.conv.fp32_precision),
        (str(torch.tensor(0.123456)), list(warnings.filters)),
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


def test_warnings_are_told_of_filters_that_come_back():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with kept_defaults():
            warnings.simplefilter("ignore")
            warnings.warn("unseen", stacklevel=1)
        warnings.warn("seen", stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["seen"]


def test_filters_of_another_thread_that_ended_meanwhile_do_not_come_back():
    outer = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keeping = kept_defaults()
        keeping.__enter__()
    keeping.__exit__(None, None, None)
    assert list(warnings.filters) == outer


def test_a_neutral_block_is_as_in_a_new_process(own_defaults):
    before = defaults()
    changed()
    own = defaults()
    with neutral_torch():
        assert defaults()[:4] == before[:4]
        assert torch.zeros(2).device.type == "cpu"
        changed()
    assert defaults() == own


def test_float32_is_float32_whatever_was_set_for_single_libraries(own_defaults):
    torch.backends.fp32_precision = "tf32"
    torch.backends.cudnn.rnn.fp32_precision = "ieee"
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with pytest.raises(RuntimeError):
        torch.get_float32_matmul_precision()  # torch finds these settings contradictory
    with neutral_torch():
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.mkldnn.matmul.fp32_precision in {"ieee", "none"}
    assert (torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision) == ("tf32", "tf32")
    assert torch.backends.fp32_precision == "tf32"


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
