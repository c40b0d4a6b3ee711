from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zerocost as zc
from zerocost.data import Batch
from zerocost.engine.model.network import Network
from zerocost.engine.tape.liveness import memory_steps
from zerocost.engine.tape.operations import record
from zerocost.scoring.candidates import initialise
from zerocost.testing.zoo import ZOO

BENCH = Path(__file__).parents[3] / "bench"
COMPARED = ("conv-bn", "residual", "squeeze-excite", "max-pool", "group-norm", "experts", "vit", "lstm", "two-inputs")


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCH))
    try:
        yield importlib.import_module("peak_memory")
    finally:
        sys.path.remove(str(BENCH))


@pytest.mark.parametrize("name", COMPARED)
def test_the_peak_is_that_of_a_run_in_which_every_tensor_is_watched(script: ModuleType, name: str) -> None:
    model, inputs = initialise(ZOO[name].build), ZOO[name].batch(1, seed=0)[0]
    assert script.computed(model, inputs) == script.brute_force(model, inputs)


def peaks(model: nn.Module, *inputs: Tensor) -> tuple[int, int]:
    card = zc.score(model, Batch(inputs[0] if len(inputs) == 1 else inputs, None), "peak_memory,flash")
    return int(card["peak_memory"]) // 4, int(card["flash"]) // 4


class Branches(nn.Module):
    """A value that is read again after others were made."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 10), nn.Linear(10, 20), nn.Linear(20, 10)
        self.again = again

    def forward(self, x: Tensor) -> Tensor:
        kept = self.first(x)
        found = self.third(self.second(kept))
        return kept + found if self.again else found


def test_a_result_is_in_memory_until_it_is_last_read() -> None:
    weights = 5 * 10 + 11 * 20 + 21 * 10
    assert peaks(Branches(again=False), torch.zeros(1, 4)) == (20 + 10, weights)
    assert peaks(Branches(again=True), torch.zeros(1, 4)) == (10 + 20 + 10, weights)


def test_views_take_nothing_and_pointwise_operations_write_in_place() -> None:
    layers = [nn.Unflatten(1, (4, 5)), nn.ReLU(), nn.Flatten(), nn.Sigmoid(), nn.BatchNorm1d(20)]
    assert peaks(nn.Sequential(*layers), torch.zeros(1, 20)) == (20, 4 * 20)


class Squares(nn.Module):
    def __init__(self, keep: bool) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        squared = x * x
        return torch.cat([squared, x], 1) if self.keep else squared


def test_nothing_is_written_over_what_is_still_read() -> None:
    assert peaks(Squares(keep=False), torch.zeros(1, 6)) == (6, 0)
    assert peaks(Squares(keep=True), torch.zeros(1, 6)) == (6 + 6 + 12, 0)


class Pools(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


def test_indices_that_nothing_reads_take_nothing() -> None:
    assert peaks(Pools(), torch.zeros(1, 2, 8, 8)) == (2 * 64 + 2 * 16, 0)


class Attends(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x)


def test_attention_is_one_operation_that_keeps_no_matrix_of_pairs() -> None:
    assert peaks(Attends(), torch.zeros(1, 2, 50, 4)) == (2 * 2 * 50 * 4, 0)


class LooksAtValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) if float(x.sum()) > -1e9 else x


def test_a_network_that_looks_at_values_runs_for_real() -> None:
    assert peaks(LooksAtValues(), torch.zeros(1, 6)) == (6 + 3, 7 * 3)


def test_integers_keep_their_size_at_every_precision() -> None:
    card = zc.score(nn.Embedding(9, 5), Batch(torch.zeros(1, 3, dtype=torch.int64), None), "peak_memory_int8,flash")
    assert dict(card) == {"peak_memory_int8": 3 * 8 + 3 * 5, "flash": 9 * 5 * 4}


def test_each_step_names_its_layer_and_operation() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 9))
    steps = memory_steps(record(Network(model), torch.zeros(1, 4), 0))
    assert [(step.layer, step.operation, step.live.floats) for step in steps] == [
        ("0", "addmm", 4 + 3),
        ("1", "relu", 3),
        ("2", "addmm", 3 + 9),
    ]


@pytest.mark.parametrize(
    ("norm", "like"),
    [
        (nn.BatchNorm2d(8, track_running_stats=False), nn.BatchNorm2d(8)),
        (nn.InstanceNorm2d(8, affine=True), nn.InstanceNorm2d(8, affine=True, track_running_stats=True)),
        (nn.GroupNorm(8, 8), nn.GroupNorm(1, 8)),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_normalisation_of_one_value_takes_memory_too(norm, like):
    proxies = "peak_memory,flash,active_params,kv_cache,params,flops"

    def score(layer):
        model = nn.Sequential(nn.Conv2d(3, 8, 4), layer, nn.ReLU(), nn.Flatten(), nn.Linear(8, 4))
        return zc.score(model, torch.rand(8, 3, 4, 4), proxies)

    one, other = score(norm), score(like)
    assert not one.failures
    assert {name: one[name] for name in ("params", "flops", "active_params", "kv_cache")} == {
        name: other[name] for name in ("params", "flops", "active_params", "kv_cache")
    }
    assert one["peak_memory"] > 0
