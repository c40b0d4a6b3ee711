from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import zerocost as zc
from zerocost.base.errors import Failure, InputError
from zerocost.search.latency import Timing
from zerocost.search.latency_sources import latency_meter, measured_latency
from zerocost.spaces import from_function

SAMPLE = torch.rand(1, 4)


def test_a_space_is_measured_once_and_what_was_kept_is_read() -> None:
    builds: list[int] = []

    def network(choose) -> nn.Module:
        width = choose.int("width", 1, 3)
        builds.append(width)
        return nn.Linear(4 if width < 3 else 5, width)

    space = from_function(network)
    one, two, three = space
    kept = {space.canonical(two): Timing(7.5, 0.1, 20)}
    cost = measured_latency(space, torch.rand(1, 4), latency_meter(seconds=0.02), kept)
    del builds[:]
    assert cost(one) == cost(one) == kept[space.canonical(one)].median > 0
    assert cost(two) == 7.5
    failed = cost(three)
    assert isinstance(failed, Failure) and "RuntimeError" in str(failed)
    assert cost(three) is failed and space.canonical(three) not in kept
    assert builds == [1, 3]


@pytest.mark.parametrize("source", ["torch", "torch:1", "onnxruntime", "onnxruntime:2"])
def test_runtimes_measure_and_say_with_what(source: str) -> None:
    before = torch.get_num_threads()
    meter = latency_meter(source, seconds=0.05)
    timing = meter.measure(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), SAMPLE)
    assert timing.median > 0 and timing.runs > 1
    runtime, _, threads = source.partition(":")
    assert f"{runtime}=" in meter.conditions and f"threads={threads}" in meter.conditions
    assert torch.get_num_threads() == before


def command(tmp_path: Path, body: str) -> str:
    script = tmp_path / "run.py"
    script.write_text(f"import sys\nsize = len(open(sys.argv[1], 'rb').read())\n{body}\n")
    return f"cmd: {sys.executable} {script} {{onnx}}"


@pytest.mark.parametrize(
    ("printed", "milliseconds"),
    [
        ("'run 1 of 2'); print('took', size > 100, 'and', 2.5e0", 2.5),
        ("'latency: 12.5 ms (batch 1)'", 12.5),
        ("'3ms, 4 ms; 5 msec; 6'", 4.0),
        ("'1,234.5'", 1234.5),
        ("'1,2'", 2.0),
    ],
)
def test_a_command_is_given_the_network_and_its_last_number_counts(
    tmp_path: Path, printed: str, milliseconds: float
) -> None:
    meter = latency_meter(command(tmp_path, f"print({printed})"))
    assert meter.measure(nn.Linear(4, 8), SAMPLE).median == milliseconds


def test_what_was_measured_otherwise_has_another_key(tmp_path: Path) -> None:
    def by(milliseconds: float) -> Callable[[nn.Module, Tensor], float]:
        return lambda model, sample: milliseconds

    assert latency_meter(by(1.0)).conditions == latency_meter(by(1.0)).conditions != latency_meter(by(2.0)).conditions
    first = latency_meter(command(tmp_path, "print(1)")).conditions
    assert first == latency_meter(command(tmp_path, "print(1)")).conditions
    assert first != latency_meter(command(tmp_path, "print(2)")).conditions


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit('no device')", "ended with 1: no device"),
        ("print('nothing')", "printed no number, expected milliseconds"),
    ],
)
def test_a_command_that_fails_is_a_named_failure(tmp_path: Path, body: str, reason: str) -> None:
    with pytest.raises(Failure, match=reason):
        latency_meter(command(tmp_path, body)).measure(nn.Linear(4, 8), SAMPLE)


def test_less_than_no_time_is_a_named_failure() -> None:
    space = zc.spaces.get("cnn")
    cost = measured_latency(space, torch.zeros(1, 3, 16, 16), latency_meter(lambda model, sample: -3.0))
    found = cost(next(iter(space)))
    assert isinstance(found, Failure) and str(found) == "the latency is -3 ms, which is less than nothing"


def test_a_function_is_given_the_network_and_a_sample() -> None:
    def joules(model: nn.Module, sample: Tensor) -> float:
        return model.weight.numel() / len(sample)

    assert latency_meter(joules).measure(nn.Linear(4, 8), SAMPLE).median == 32
    with pytest.raises(Failure, match="function joules raised AttributeError"):
        latency_meter(joules).measure(nn.ReLU(), SAMPLE)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("tensorrt", "latency must be torch, onnxruntime, .* but got 'tensorrt'"),
        ("torch:0", "at least 1 thread"),
        ("cmd: ./run.sh", "must have a place for the network"),
        ("nowhere.json", "no such latency table: nowhere.json; write one with zerocost latency record"),
        ("nowhere.py:mine", "no such file"),
        (7, "latency must be"),
    ],
)
def test_sources_that_cannot_be_used_are_refused_before_anything_runs(source: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        zc.Pipeline("cnn", latency=source)


def net(choose) -> nn.Module:
    width = choose.int("width", 8, 64, step=8)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))


SHORT = {"candidates": 6, "proxies": "snip", "epochs": 0, "keep": 2}


def test_latency_by_a_function_and_own_functions_are_limits_and_objectives() -> None:
    def by_width(model: nn.Module, sample: Tensor) -> float:
        return model[1].out_features / 10

    def joules(arch) -> float:
        width = dict(arch.choices)["width"]
        if width == 8:
            raise ValueError("no meter")
        return 100 - width

    settings = SHORT | {"candidates": 20, "where": "latency < 5ms", "latency": by_width}
    found = zc.search(net, "digits:8", objectives=["score", joules], **settings)
    frame = found.table.frame
    widths = frame.index.str.removeprefix("width=").astype(int)
    assert sorted(widths) == [8, 16, 24, 32, 40, 48]
    assert found.objectives == ("score", "joules_cost") and found.table.ranked_by == "fronts of score, joules_cost"
    assert (frame["joules_cost"].dropna() == 100 - widths[frame["joules_cost"].notna()]).all()
    assert found.table.failures.set_index("candidate")["reason"].to_dict() == {
        "width=8": "function joules raised ValueError: no meter"
    }
    assert found.rejected["width=56"] == "latency < 5ms is false: latency = 5.6 ms"
