from __future__ import annotations

from pathlib import Path

import pytest

from zerocost.base.errors import Failure
from zerocost.search.objectives import read_objectives
from zerocost.search.own_costs import own_cost
from zerocost.spaces import Architecture
from zerocost.tasks.metrics import minimised

ARCH = Architecture("a", ())


def test_each_number_is_asked_for_once() -> None:
    asked: list[Architecture] = []

    def joules(arch: Architecture) -> int:
        asked.append(arch)
        return 3

    cost = own_cost(joules)
    assert (cost(ARCH), cost(ARCH), asked) == (3.0, 3.0, [ARCH])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda _: 1 / 0, "function lambda raised ZeroDivisionError: division by zero"),
        (lambda _: "fast", "function lambda returned 'fast', expected a number"),
        (lambda _: float("nan"), "function lambda returned nan"),
    ],
)
def test_what_is_no_number_is_a_named_failure(function, reason: str) -> None:
    found = own_cost(function)(ARCH)
    assert isinstance(found, Failure) and str(found) == reason


def test_a_function_in_a_file_is_a_cost_and_a_proxy_in_a_file_is_none(tmp_path: Path, registries: None) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import zerocost as zc\n\ndef watts(arch):\n    return 2\n\n"
        "@zc.proxy(paper='x')\ndef half_params(parameter_count):\n    return parameter_count / 2\n"
    )
    found = read_objectives(f"score,{file}:watts,{file}:half_params")
    assert list(found) == ["score", "watts_cost", "half_params"]
    assert minimised("watts_cost") and found["watts_cost"](ARCH) == 2
