from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import cloudpickle
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from zerocost.base.identity import identity, is_shipped
from zerocost.base.user_code import FileFunction, load_object

HELPER = """
import torch
from torch import nn

STRIDE = {stride}


class Block(nn.Module):
    scale = {scale}

    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=STRIDE)

    def forward(self, x):
        return torch.{activation}(self.conv(x)) * self.scale


def unused():
    return {unused}
"""
USES = {
    "from": "from helper import Block\ndef space(choose): return Block(choose)",
    "import": "import helper\ndef space(choose): return helper.Block(choose)",
    "named": "import helper\ndef space(choose): return getattr(helper, ('Block', 'Other')[0])(choose)",
    "table": "from helper import Block\nOPS = {'b': lambda w: Block(w)}\ndef space(choose): return OPS['b'](choose)",
    "closed over": "def make():\n    import helper\n    return lambda choose: helper.Block(choose)\nspace = make()",
    "inherited": "import helper\nclass Mine(helper.Block): pass\ndef space(choose): return Mine(choose)",
    "cached": "from functools import cache\nimport helper\n@cache\ndef space(choose): return helper.Block(choose)",
}
SETTINGS = {"stride": 1, "scale": 2, "activation": "relu", "unused": 1}


class Net(nn.Module):
    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.kinds = {"b", "a", "c", "d"}
        vars(self).update(settings)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layer(x)).mul(scaled(2))


@lru_cache
def scaled(by: int, table: dict[str, Callable[[], int]] = {"one": lambda: 1}) -> int:  # noqa: B006
    return by * table["one"]() if any(x in {"p", "q", "r"} for x in "abc") else by


def helped(monkeypatch: pytest.MonkeyPatch, folder: Path, use: str, **changed: object) -> str:
    """The identity of a space whose file uses another one."""
    folder.joinpath("helper.py").write_text(HELPER.format(**SETTINGS | changed))
    folder.joinpath("mine.py").write_text(USES[use])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    monkeypatch.delitem(sys.modules, "zerocost_user_mine", raising=False)
    return identity(load_object(f"{folder}/mine.py:space"))


@pytest.mark.parametrize("use", USES)
def test_code_is_followed_into_the_files_that_it_imports(monkeypatch, tmp_path, use):
    found = partial(helped, monkeypatch, tmp_path, use)
    first = found()
    assert found() == first == found(unused=2)
    assert len({first, found(stride=2), found(scale=3), found(activation="tanh")}) == 4


def closed(value: object) -> Callable[[], object]:
    return lambda: value


def with_default(value: object) -> Callable[..., object]:
    return lambda given=value: given


def given(value: object) -> Callable[[], object]:
    return partial(partial(closed, value), value=value)


class Settings:
    def __init__(self, value: object) -> None:
        self.value = value


@pytest.mark.parametrize("hold", [closed, with_default, given, Settings])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, "1"),
        ([1, 2], [2, 1]),
        ([1, 2], (1, 2)),
        ({"a": [1]}, {"a": [2]}),
        (torch.zeros(2), torch.ones(2)),
        (torch.zeros(2), torch.zeros(2, 1)),
        (torch.zeros(2).numpy(), torch.ones(2).numpy()),
        (torch.relu, torch.tanh),
        (nn.ReLU, nn.Tanh),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x: [y + 1 for y in x], lambda x: [y + 2 for y in x]),
        (nn.ReLU(), nn.Tanh()),
    ],
)
def test_values_that_are_held_count(hold, one, other):
    assert identity(hold(one)) == identity(hold(one)) != identity(hold(other))


@pytest.mark.parametrize(
    "change",
    [
        lambda net: setattr(net[0], "stride", (2, 2)),
        lambda net: setattr(net[0], "groups", 2),
        lambda net: setattr(net[1], "eps", 1e-3),
        lambda net: setattr(net[2], "p", 0.1),
        lambda net: net.insert(2, nn.Identity()),
        lambda net: net[0].requires_grad_(False),
        lambda net: net[0].register_forward_hook(lambda *_: None),
        lambda net: setattr(net[0], "forward", lambda x: x),
        lambda net: setattr(net[3], "weight", net[4].weight),
        lambda net: parametrizations.weight_norm(net[3]),
        lambda net: net[1].register_buffer("mask", torch.zeros(2), persistent=False),
    ],
)
def test_networks_differ_in_any_setting_of_any_layer(change):
    net = [
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Linear(2, 2), nn.Linear(2, 2))
        for _ in range(3)
    ]
    change(net[2])
    first, second, changed = (identity(one, weights=False) for one in net)
    assert first == second != changed


def test_tensors_differ_in_type_shape_and_values():
    zeros = torch.zeros(4)
    values = [zeros, zeros.reshape(2, 2), zeros.double(), zeros.bfloat16(), zeros + 1, torch.tensor(0.0), zeros[:0]]
    assert len({identity(value) for value in values}) == len(values)
    assert identity(torch.eye(3).t()) == identity(torch.eye(3))
    assert identity("ab", "c") != identity("a", "bc")


def test_losses_differ_that_have_the_same_name():
    weights = [nn.CrossEntropyLoss(weight=torch.tensor([1.0, w])) for w in (1.0, 2.0)]
    smooth = [nn.CrossEntropyLoss(label_smoothing=s) for s in (0.0, 0.1)]
    losses = [*weights, *smooth, F.mse_loss, F.l1_loss]
    assert len({identity(loss) for loss in losses}) == len(losses)
    assert identity(nn.CrossEntropyLoss()) == identity(smooth[0])


def test_weights_count_unless_they_are_left_out():
    one, other = Net(table=torch.zeros(2)), Net(table=torch.ones(2))
    other.load_state_dict(one.state_dict())
    assert identity(one, weights=False) == identity(other, weights=False)
    assert identity(one) != identity(other)
    assert identity(nn.LazyLinear(2)) == identity(nn.LazyLinear(2))


def test_it_is_the_same_in_another_process():
    """Of functions and classes that are sent by value, as those of a main program are."""
    things = (scaled, Net, Net(), closed({"x", "y", "z"}), Settings([Net, len]))
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        sent = cloudpickle.dumps(things)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    code = "import sys, pickle; from zerocost.base.identity import identity; "
    code += "print([identity(x) for x in pickle.loads(sys.stdin.buffer.read())])"
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    told = subprocess.run([sys.executable, "-c", code], input=sent, check=True, capture_output=True, env=environment)
    assert told.stdout.decode().strip() == str([identity(thing) for thing in things])


def test_code_that_ran_often_is_the_same():
    def count(to: int) -> int:
        return sum(x * 2 for x in range(to))

    first = identity(count)
    assert all(count(50) for _ in range(100))
    assert identity(count) == first


def test_what_refers_to_itself_has_an_identity():
    def again(x: int) -> int:
        return again(x - 1) if x else len(known)

    known = {again, len}
    held = Settings(None)
    held.value = [held, again]
    assert identity(held) == identity(held)


def test_shipped_is_what_the_user_did_not_write(tmp_path):
    (tmp_path / "code.py").write_text("def mine():\n    return 1\n")
    assert not is_shipped(load_object(f"{tmp_path}/code.py:mine")) and not is_shipped(Net)
    assert all(map(is_shipped, (nn.Linear, identity, partial, Path, len, pytest.mark.__class__)))


def test_a_function_of_a_file_is_known_by_its_code(tmp_path, monkeypatch):
    found = []
    for number in (1, 2):
        (tmp_path / "own.py").write_text(f"def loss(a, b): return {number} * (a - b).abs().mean()")
        found.append(identity(FileFunction(f"{tmp_path}/own.py:loss")))
    assert len(set(found)) == 2
