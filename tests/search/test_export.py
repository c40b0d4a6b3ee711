from __future__ import annotations

import importlib.util
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from zerocost import spaces
from zerocost.base import user_code as files
from zerocost.base.errors import Failure, InputError, MissingExtraError
from zerocost.cli.main import app
from zerocost.scoring.candidates import initialise
from zerocost.search import export as module
from zerocost.search.export import export, write_spec

HAS_ONNX = all(importlib.util.find_spec(package) for package in ("onnx", "onnxscript"))
IMAGES = torch.rand(5, 3, 8, 8)
CNN = "depth=2,width=8,growth=1,kernel=3,downsample=none,norm=batch,activation=relu,residual=False,head=pool,hidden=64"


def network() -> nn.Module:
    """A network whose outputs in train mode are others than in eval mode."""
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1)
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 10))
    model(torch.randn(16, 3, 8, 8) * 3 + 1)
    return model


def outputs(model: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.eval()(inputs)
    return result


def test_the_state_dict_is_that_of_the_model(tmp_path: Path) -> None:
    model = network()
    path = export(model, IMAGES, tmp_path / "new" / "folder")["state"]
    assert path == tmp_path / "new" / "folder" / "best.pt"
    again = network()
    again.load_state_dict({name: tensor + 1 for name, tensor in again.state_dict().items()})
    again.load_state_dict(torch.load(path, weights_only=True))
    assert torch.equal(outputs(again, IMAGES), outputs(model, IMAGES))
    assert [file.name for file in path.parent.iterdir()] == ["best.pt"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["cnn", "nats_size"])
def test_torchscript_gives_the_networks_outputs_for_any_batch(tmp_path: Path, name: str) -> None:
    space = spaces.get(name)
    arch = space.sample(np.random.default_rng(1))
    model = initialise(lambda: space.build(arch))
    images = torch.rand(7, 3, 32, 32)
    loaded = torch.jit.load(export(model, images, tmp_path, ["torchscript"], name="found")["torchscript"])
    assert model.training
    assert torch.allclose(loaded(images), outputs(model, images), atol=1e-5)
    assert not loaded.training


class Pair(nn.Module):
    """Two inputs, one of them without a row a sample."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        return self.linear(x) * scale


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("named", [False, True], ids=["positional", "keywords"])
def test_several_inputs(tmp_path: Path, named: bool) -> None:
    inputs: dict[str, Tensor] = {"x": torch.rand(5, 4), "scale": torch.rand(2)}
    given: Any = inputs if named else tuple(inputs.values())
    model = Pair()
    loaded = torch.jit.load(export(model, given, tmp_path, ["torchscript"])["torchscript"])
    assert torch.allclose(loaded(**inputs), model(**inputs))


class FixedBatch(nn.Linear):
    """A forward whose trace holds the size of the batch it was traced with."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / len(x)


class Unscriptable(nn.Linear):
    def forward(self, x: Tensor) -> Any:
        return {"logits": super().forward(x), "note": object()}


def test_what_would_give_other_outputs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be written as torchscript: it gives other outputs"):
        export(FixedBatch(4, 2), torch.rand(1, 4), tmp_path, ["torchscript"])
    with pytest.raises(Failure, match="cannot be written as torchscript: RuntimeError"):
        export(Unscriptable(4, 2), torch.rand(1, 4), tmp_path, ["state", "torchscript"])
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]


@pytest.mark.skipif(not HAS_ONNX, reason="the extra onnx is not installed")
def test_onnx_gives_the_networks_outputs_for_any_batch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import onnx
    from onnx.reference import ReferenceEvaluator

    level = logging.getLogger("torch.onnx").level
    model = network()
    path = export(model, IMAGES, tmp_path, ["onnx"])["onnx"]
    assert [file.name for file in tmp_path.iterdir()] == ["best.onnx"]
    onnx.checker.check_model(path)
    evaluator = ReferenceEvaluator(str(path))
    for images in (IMAGES, IMAGES[:1]):
        [found] = evaluator.run(None, {evaluator.input_names[0]: images.numpy()})
        assert torch.allclose(torch.from_numpy(found), outputs(model, images), atol=1e-5)
    assert "".join(capfd.readouterr()) == ""
    assert logging.getLogger("torch.onnx").level == level


def test_onnx_without_the_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'zerocost\[onnx\]'"):
        export(network(), IMAGES, tmp_path, ["state", "onnx"])
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown format 'onx'; did you mean 'onnx'"):
        export(network(), IMAGES, tmp_path, ["onx"])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        export(network(), IMAGES, tmp_path / "file")
    with pytest.raises(InputError, match="unknown space 'cn'"):
        write_spec(tmp_path / "spec.py", "cn", "", classes=2, in_channels=1, resolution=8)
    with pytest.raises(InputError, match="an architecture of space nats_size"):
        write_spec(tmp_path / "spec.py", "nats_size", "8", classes=2, in_channels=1, resolution=8)
    with pytest.raises(InputError, match="expected a SearchSpace or a function"):
        (tmp_path / "own.py").write_text("number = 3\n")
        write_spec(tmp_path / "spec.py", f"{tmp_path}/own.py:number", "8", classes=2, in_channels=1, resolution=8)
    assert not (tmp_path / "spec.py").exists()


def equal(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return str(one) == str(other) and a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", spaces.names())
def test_a_spec_builds_the_very_architecture(tmp_path: Path, name: str) -> None:
    sizes = {"classes": 7, "in_channels": 1, "resolution": 16}
    space = spaces.get(name, **sizes)
    arch = space.sample(np.random.default_rng(2))
    path = write_spec(tmp_path / "spec.py", name, arch, **sizes)
    assert equal(initialise(files.load_object(f"{path}:build"), 3), initialise(lambda: space.build(arch), 3))


OWN = """
from torch import nn
from zerocost.spaces import from_function

def mlp(choose):
    width = choose.int("width", 8, 64, step=8)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

space = from_function(mlp, "small")
"""


@pytest.mark.parametrize("name", ["mlp", "space"])
def test_a_spec_of_ones_own_space_finds_it_beside_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "it's own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "project" / "results" / "spec.py"
    sizes = {"classes": 10, "in_channels": 1, "resolution": 8}
    write_spec(target, f"project/it's own.py:{name}", "width=24", **sizes)
    moved = shutil.move(tmp_path / "project", tmp_path / "elsewhere")
    built = files.load_object(f"{moved}/results/spec.py:build")()
    assert [layer.out_features for layer in built if isinstance(layer, nn.Linear)] == [24, 10]


def test_a_spec_can_be_scored_from_the_shell(tmp_path: Path) -> None:
    path = write_spec(tmp_path / "spec.py", "cnn", CNN, classes=10, in_channels=1, resolution=8)
    told = CliRunner().invoke(app, ["score", f"{path}:build", "--data", "digits", "--proxies", "params", "--json"])
    assert json.loads(told.output)["scores"]["params"] > 1000
