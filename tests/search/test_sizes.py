from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zerocost as zc
from zerocost import spaces
from zerocost.base.errors import Failure, InputError
from zerocost.scoring.candidates import initialise
from zerocost.search.sizes import SIZE_PROXIES, size_costs
from zerocost.spaces import SearchSpace, from_function

IMAGES = torch.rand(2, 3, 32, 32)


def only(build) -> tuple[SearchSpace, spaces.Architecture]:
    """The space of a single network, and its architecture."""

    def network(choose):
        choose.int("one", 1, 1)
        return build()

    space = from_function(network)
    return space, next(iter(space))


@pytest.mark.parametrize("name", ["cnn", "nats_size", "transnas_macro"])
def test_sizes_are_those_that_score_gives(name: str) -> None:
    space = spaces.get(name)
    known = size_costs(space, IMAGES)
    for seed in range(2):
        arch = space.sample(np.random.default_rng(seed))
        card = zc.score(initialise(lambda arch=arch: space.build(arch)), (IMAGES, None), SIZE_PROXIES)
        assert {size: known[size](arch) for size in SIZE_PROXIES} == dict(card)


class LooksAtValues(nn.Module):
    """Runs on no meta device: it reads a weight when it is built, and a value of its input when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.scale = float(self.linear.weight[0, 0])

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) if float(x.sum()) > -1e9 else x


def test_a_network_that_looks_at_values_is_built_and_run_for_real() -> None:
    space, arch = only(LooksAtValues)
    known = size_costs(space, torch.rand(3, 4))
    expected = {"params": 10, "flops": 8, "depth": 1, "peak_memory": 6 * 4, "training_memory": 10 * 16 + 4 * 4}
    assert {name: known[name](arch) for name in expected} == expected


def test_each_size_is_computed_when_asked_for_and_once() -> None:
    builds: list[int] = []

    def network(choose):
        builds.append(choose.int("width", 1, 3))
        return nn.Linear(4, builds[-1])

    space = from_function(network)
    arch, other = list(space)[:2]
    known = size_costs(space, torch.rand(1, 4))
    del builds[:]
    for _ in range(3):
        assert [known[name](arch) for name in ("params", "flops", "depth", "flash")] == [5, 4, 1, 20]
    assert builds == [1]
    assert known["params"](other) == 10
    assert known["params"](arch) == 5
    assert builds == [1, 2]


def test_one_run_gives_all_that_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []

    def counted(model: nn.Module, batch: object, names: str, output: None = None) -> zc.ScoreCard:
        runs.append(names)
        return zc.score(model, batch, names)

    monkeypatch.setattr(sys.modules[size_costs.__module__], "score", counted)
    space, arch = only(lambda: nn.Linear(4, 2))
    known = size_costs(space, torch.rand(1, 4))
    assert known["params"](arch) == 10
    assert runs == ["params"]
    assert (known["depth"](arch), known["flops"](arch)) == (1, 8)
    assert runs == ["params", "flops,depth"]


def fails() -> nn.Module:
    raise ValueError("no such network")


@pytest.mark.parametrize(
    ("build", "reasons"),
    [
        (fails, dict.fromkeys(("params", "flops", "depth", "peak_memory", "kv_cache"), "ValueError: no such network")),
        (
            lambda: nn.Linear(9, 2),
            {
                "flops": "RuntimeError",
                "depth": "RuntimeError",
                "training_memory": "RuntimeError",
                "flash": "RuntimeError",
            },
        ),
        (nn.Flatten, {"depth": "no convolution or linear layer"}),
        (lambda: nn.LazyConv2d(2, 3), {"params": "lazy layers", "flash": "lazy layers"}),
    ],
    ids=["not built", "not run", "no layer", "lazy"],
)
def test_what_cannot_be_had_is_a_failure_and_no_exception(build, reasons: dict[str, str]) -> None:
    space, arch = only(build)
    known = size_costs(space, torch.rand(1, 4))
    found = {name: known[name](arch) for name in reasons}
    assert all(isinstance(one, Failure) and reasons[name] in str(one) for name, one in found.items()), found


def test_neither_the_random_state_nor_the_callers_mode_makes_a_difference() -> None:
    space = spaces.get("cnn")
    arch = space.sample(np.random.default_rng(0))
    before = torch.get_rng_state()
    expected = [size(arch) for size in size_costs(space, IMAGES).values()]
    with torch.inference_mode():
        assert [size(arch) for size in size_costs(space, IMAGES).values()] == expected
    assert torch.equal(before, torch.get_rng_state())


def test_inputs_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(InputError):
        size_costs(spaces.get("cnn"), torch.full((1, 3, 32, 32), float("nan")))
