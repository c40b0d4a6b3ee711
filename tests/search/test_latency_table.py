from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zerocost.base.errors import Failure, InputError
from zerocost.search.latency import LatencyMeter, Timing
from zerocost.search.latency_sources import latency_meter
from zerocost.search.latency_table import LatencyTable, record_table
from zerocost.search.pipeline import search
from zerocost.search.result import NothingFits
from zerocost.spaces import from_function

SAMPLE = torch.rand(1, 4)


def net(choose) -> nn.Module:
    widths = [4, *(choose.int(f"width{i}", 1, 9) for i in range(choose.int("depth", 1, 3))), 2]
    return nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(widths)))


def of_device(model: nn.Module, sample: Tensor) -> Timing:
    """A device that takes 0.01 ms a weight, 0.5 ms to start, and in a network half of that for each layer."""
    weights = sum(p.numel() for p in model.parameters())
    layers = len(list(model.children())) or 1
    return Timing(0.01 * weights + 0.5 + 0.25 * (layers - 1), 0.0, 10)


def recorded() -> LatencyTable:
    return record_table(from_function(net), SAMPLE, LatencyMeter(of_device, "a device"), networks=20, held_out=10)


def test_it_predicts_networks_that_it_was_not_fitted_to() -> None:
    table = recorded()
    assert table.layers["Linear(in_features=4, out_features=2, bias=True) 1x4"] == pytest.approx(0.6)
    assert (table.scale, table.each, table.offset) == pytest.approx((1, -0.25, 0.25))
    assert table.error["networks"] == 10 and table.error["spearman"] == pytest.approx(1)
    assert table.error["largest_relative_error"] < 1e-9


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    table, path = recorded(), tmp_path / "table.json"
    table.save(path)
    assert LatencyTable.load(path) == table
    meter = latency_meter(path)
    assert meter.measure(nn.Linear(4, 2), SAMPLE).median == table.predict(nn.Linear(4, 2), SAMPLE)
    assert "a device" in meter.conditions


def test_a_layer_that_is_not_in_it_is_a_named_failure_and_the_model_stays_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Tanh())
    with pytest.raises(Failure, match=r"lacks 1 layers, such as Tanh\(\) 1x2; record more networks"):
        recorded().predict(model, SAMPLE)
    assert model.training and not any(part._forward_pre_hooks for part in model.modules())


def test_a_search_says_how_many_it_leaves_out_as_the_table_lacks_a_layer(tmp_path: Path) -> None:
    def space(choose) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 2), getattr(nn, choose.one_of("activation", ["ReLU", "Tanh", "ELU"]))())

    layers = {"Linear(in_features=4, out_features=2, bias=True) 1x4": 1.0, "ReLU() 1x2": 1.0, "Tanh() 1x2": 9.0}
    path = tmp_path / "table.json"
    LatencyTable("a device", layers).save(path)
    data, settings = (torch.rand(40, 4), torch.arange(40) % 2), {"latency": str(path), "proxies": "params", "epochs": 0}
    found = search(space, data, where="latency < 5ms", candidates=3, **settings)
    assert len(found.table) == 1 and len(found.rejected) == 2
    assert found.stages[0].detail.startswith("proposals of strategy random, 1 over a limit, 1 whose latency failed;")
    with pytest.raises(NothingFits, match=r"latency < 1ms, as latency failed, refuses 1 of 3; nearest: "):
        search(space, data, where="latency < 1ms", candidates=3, **settings)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", *(json.dumps({"layers": layers}) for layers in ({}, {"a": "b"}, {"a": -5.0}, {"a": math.nan}))],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is no latency table"):
        LatencyTable.load(path)


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(InputError, match="at least 3 networks"):
        record_table(from_function(net), SAMPLE, LatencyMeter(of_device, ""), networks=2)
    with pytest.raises(InputError, match="only 4 random networks differ, but 3 networks and 3 held out are asked"):
        four = from_function(lambda choose: nn.Linear(4, choose.int("width", 1, 4)), "four")
        record_table(four, SAMPLE, LatencyMeter(of_device, ""), networks=3, held_out=3)
