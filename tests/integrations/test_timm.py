"""timm's own models as candidates; torchvision, which they use next to nothing of, is stood in for where it is not."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch
from torch import nn

from zerocost import data, rank
from zerocost.base.errors import InputError, MissingExtraError
from zerocost.integrations import timm as ours
from zerocost.scoring.candidates import initialise

DIGITS = data.load("digits:32")


class StandIn(ModuleType):
    """A module of torchvision whose every name is a class."""

    __path__: list[str] = []  # noqa: RUF012
    __version__ = "0"

    def __getattr__(self, name: str) -> type:
        if name.startswith("__") or name == "InterpolationMode":  # timm does without
            raise AttributeError(name)
        made = type(name, (nn.Module,), {"__getattr__": lambda self, attribute: None})
        setattr(self, name, made)
        return made


class Finder:
    """Finds a stand-in for every module of torchvision."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.split(".", maxsplit=1)[0] == "torchvision" else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


@pytest.fixture(scope="module", autouse=True)
def timm() -> Iterator[ModuleType]:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    try:
        yield ours.import_timm()
        return
    except MissingExtraError:
        finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield ours.import_timm()
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.split(".")[0] in ("timm", "torchvision")]:
            del sys.modules[name]


def test_names_are_matched_and_taken_away() -> None:
    found = ours.candidates("resnet1*, vit_tiny_patch16_224, -*clip*", DIGITS)
    assert {"resnet10t", "resnet18", "vit_tiny_patch16_224"} <= set(found)
    assert not any("clip" in name for name in found)


def test_a_sequence_of_names_is_as_good_as_commas() -> None:
    assert list(ours.candidates(["resnet18", "resnet10t"], DIGITS)) == ["resnet10t", "resnet18"]


@pytest.mark.parametrize("spec", ["noise:1x40x24:7", "noise:3x32x32:10"])
@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "test_efficientnet"])
def test_inputs_and_outputs_are_those_of_the_data(name: str, spec: str) -> None:
    channels, height, width = (int(n) for n in spec.split(":")[1].split("x"))
    if name.startswith("vit") and height % 16:
        height = width = 32
    source = torch.rand(7, channels, height, width), torch.arange(7)
    model = initialise(ours.candidates(name, source)[name])
    assert model(source[0][:2]).shape == (2, 7)


def test_a_model_does_not_depend_on_the_others() -> None:
    together, alone = (ours.candidates(pattern, DIGITS)["resnet18"] for pattern in ("resnet1[48]*", "resnet18"))
    assert all(map(torch.equal, initialise(together, 1).parameters(), initialise(alone, 1).parameters()))


def test_ranking_on_the_digits_one_that_cannot_take_them_among_them() -> None:
    small = data.load("digits:8")
    table = rank(
        ours.candidates("test_resnet,test_efficientnet,vit_tiny_patch16_224", small), small, "synflow", batch=4
    )
    assert len(table) == 3
    assert set(table.failures["candidate"]) == {"vit_tiny_patch16_224"}
    assert table.frame["synflow"].notna().sum() == 2


def test_at_the_shell() -> None:
    from typer.testing import CliRunner

    from zerocost.cli.main import app

    options = ["--data", "digits:32", "--batch", "4", "--proxies", "synflow"]
    result = CliRunner().invoke(app, ["rank", "timm:test_*net", *options])
    assert result.exit_code == 0
    assert "test_efficientnet" in result.output


@pytest.mark.parametrize(
    ("pattern", "source", "message"),
    [
        ("resnett*", DIGITS, "timm has no model 'resnett\\*'; did you mean '.*resn"),
        ("resnet18,resnt34", DIGITS, "timm has no model 'resnt34'; did you mean 'resnet34'"),
        ("ResNet10t", DIGITS, "timm has no model 'ResNet10t'; did you mean 'resnet10t'"),
        ("resnet10t.c3_in1k", DIGITS, "'c3_in1k' is a set of trained weights, .*; write resnet10t$"),
        ("resnet1*,-resnet1*", DIGITS, "no model of timm is left of 'resnet1\\*,-resnet1\\*': names after -"),
        ([], DIGITS, "no name of a model is given"),
        ("xyzzy", DIGITS, r"see timm.list_models\(\)"),
        ("resnet18", (torch.rand(4, 9), torch.arange(4)), "images C×H×W"),
        ("resnet18", "noise:3x8x8", "no class labels"),
    ],
)
def test_what_cannot_be_used(pattern: str | list[str], source: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ours.candidates(pattern, source)


@pytest.mark.parametrize(("module", "message"), [("timm", r"zerocost\[timm\]"), ("timm.models", "cannot be imported")])
def test_absence_names_the_extra(module: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == module:
                raise {"timm": ModuleNotFoundError}.get(module, RuntimeError)("operator torchvision::nms is missing")

    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(MissingExtraError, match=message):
        ours.candidates("resnet18", DIGITS)
