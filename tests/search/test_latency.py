from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zerocost.base.errors import Failure, InputError
from zerocost.search import latency as latency_module
from zerocost.search.latency import latency, latency_conditions
from zerocost.testing.state import model_state


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that passes, all of it in networks that `Sleeps`."""
    passed = [0.0]
    monkeypatch.setattr(latency_module, "_now", lambda _: passed[0])
    return passed


class Sleeps(nn.Module):
    """Takes some milliseconds a sample."""

    def __init__(self, milliseconds: float, clock: list[float]) -> None:
        super().__init__()
        self.seconds, self.clock = milliseconds / 1e3, clock
        self.shapes: list[tuple[int, ...]] = []
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training and not torch.is_grad_enabled()
        self.shapes.append(tuple(x.shape))
        self.clock[0] += self.seconds * len(x)
        return self.linear(x)


def test_it_is_the_time_of_one_run_in_milliseconds(clock: list[float]) -> None:
    timing = latency(Sleeps(4, clock), torch.rand(7, 4), seconds=1)
    assert timing.median == pytest.approx(4)
    assert timing.runs == 10
    assert latency(Sleeps(4, clock), torch.rand(7, 4), batch=10, seconds=1).median == pytest.approx(40)


def test_it_ends_when_the_time_is_over_or_the_median_is_known(clock: list[float]) -> None:
    assert latency(Sleeps(30, clock), torch.rand(1, 4), seconds=0.05).runs == 1
    assert latency(Sleeps(30, clock), torch.rand(1, 4), seconds=30).runs == 10


def test_the_clock_is_real() -> None:
    assert latency(nn.Linear(4, 2), torch.rand(1, 4), seconds=0.01).median > 0


def test_the_model_comes_back_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    before = model_state(model)
    latency(model, torch.rand(2, 4), batch=2, seconds=0.05)
    assert model_state(model) == before


def test_several_inputs_and_mappings() -> None:
    class Two(nn.Bilinear):
        def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
            return super().forward(input1, input2)

    model = Two(3, 4, 2)
    inputs = torch.rand(5, 3), torch.rand(5, 4)
    assert latency(model, inputs, batch=2, seconds=0.02).median > 0
    named = dict(zip(("input1", "input2"), inputs, strict=True))
    assert latency(model, named, seconds=0.02).median > 0


def test_what_cannot_be_run_or_asked_is_said() -> None:
    with pytest.raises(Failure, match="the network raised RuntimeError"):
        latency(nn.Linear(4, 2), torch.rand(1, 5))
    with pytest.raises(InputError, match="batch must be at least 1"):
        latency(nn.Linear(4, 2), torch.rand(1, 4), batch=0)
    with pytest.raises(InputError, match="seconds above 0"):
        latency(nn.Linear(4, 2), torch.rand(1, 4), seconds=0)
    with pytest.raises(InputError, match="device 'cuda:99' cannot be used"):
        latency(nn.Linear(4, 2), torch.rand(1, 4), device="cuda:99")


def test_conditions_tell_what_latencies_must_not_be_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    key = latency_conditions()
    assert key == latency_conditions(device=torch.device("cpu")) != latency_conditions(batch=2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert "threads=77" in latency_conditions() != key
