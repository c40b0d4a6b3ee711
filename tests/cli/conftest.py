from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from zerocost.cli.main import app

USER_FILE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8, classes=10):
        super().__init__()
        self.hidden = nn.Linear(192, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(torch.relu(self.hidden(x.flatten(1))))


def build():
    return Net()


def candidates():
    return {f"w{width}": (lambda width=width: Net(width)) for width in (4, 8, 16)}


def with_a_broken_one():
    return candidates() | {"[broken]": lambda: nn.Linear(3, 2)}


def only_broken():
    return {"broken": lambda: nn.Linear(3, 2)}


def nothing():
    return {}


def two_classes():
    return Net(classes=2)


def not_a_network():
    return 3


def interrupted():
    def stop():
        raise KeyboardInterrupt

    return {"w4": Net, "stop": stop}


def space(choose):
    return Net(width=choose.int("width", 2, 16, step=2))


def leaving():
    raise SystemExit(3)


def with_control_characters():
    raise BaseException("\\x1b[31mred")


def raising():
    raise RuntimeError("no such luck")


def half_a_list():
    yield build
    raise RuntimeError("no more")


class Printing(Net):
    def forward(self, x):
        print("printed by a network")
        return super().forward(x)


def printing_network():
    return Printing()


def printing():
    return {"printing": Printing, "w4": lambda: Net(4)}


def with_half_a_character():
    raise RuntimeError("half a \\ud800 character")


def with_a_long_reason():
    raise RuntimeError("x" * 100_000)


number = 3
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(USER_FILE)
    return path


@pytest.fixture
def run() -> Callable[..., Any]:
    """Runs the shell command in this process: exit code, both streams, and stdout as JSON when it is."""

    def invoke(*arguments: object) -> SimpleNamespace:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        loaded = json.loads(result.stdout) if result.stdout.startswith(("{", "[")) else None
        return SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr, json=loaded)

    return invoke
