from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zerocost import spaces
from zerocost.base.errors import Failure, InputError, MissingExtraError
from zerocost.base.fidelity import Fidelity
from zerocost.scoring.candidates import initialise
from zerocost.search import formats as module
from zerocost.search.formats import write_formats

HAS_ONNX = all(importlib.util.find_spec(package) for package in ("onnx", "onnxscript", "onnxruntime"))
IMAGES = torch.rand(5, 3, 8, 8)


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
    path = write_formats(model, IMAGES, tmp_path / "new" / "folder", ["state"])["state"]
    assert path == tmp_path / "new" / "folder" / "best.pt"
    again = network()
    again.load_state_dict({name: tensor + 1 for name, tensor in again.state_dict().items()})
    again.load_state_dict(torch.load(path, weights_only=True))
    assert torch.equal(outputs(again, IMAGES), outputs(model, IMAGES))
    assert [file.name for file in path.parent.iterdir()] == ["best.pt"]


class Tied(nn.Module):
    """Two layers that share their weights, and a weight that is a view."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("turned", torch.arange(6.0).reshape(2, 3).T)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) + self.turned.sum()


def test_safetensors_hold_the_state_dict_also_of_tied_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    model = Tied()
    read = load_file(write_formats(model, torch.rand(5, 4), tmp_path, ["safetensors"])["safetensors"])
    assert read.keys() == model.state_dict().keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize(("name", "sizes"), [("cnn", {}), ("nats_size", {}), ("vit", {"resolution": 32})])
def test_torchscript_gives_the_networks_outputs_for_any_batch(tmp_path: Path, name: str, sizes: dict[str, int]) -> None:
    space = spaces.get(name, **sizes)
    arch = space.sample(np.random.default_rng(1))
    model = initialise(lambda: space.build(arch, Fidelity(width=0.25, depth=0.2)))
    images = torch.rand(7, 3, 32, 32)
    loaded = torch.jit.load(write_formats(model, images, tmp_path, ["torchscript"], name="found")["torchscript"])
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


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("named", [False, True], ids=["positional", "keywords"])
def test_several_inputs(tmp_path: Path, named: bool) -> None:
    inputs: dict[str, Tensor] = {"x": torch.rand(5, 4), "scale": torch.rand(2)}
    given: Any = inputs if named else tuple(inputs.values())
    model = Pair()
    loaded = torch.jit.load(write_formats(model, given, tmp_path, ["torchscript"])["torchscript"])
    assert torch.allclose(loaded(**inputs), model(**inputs))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_torchscript_of_outputs_by_name(tmp_path: Path) -> None:
    inputs = {"tokens": torch.randint(0, 9, (3, 5)), "mask": torch.rand(3, 5)}
    model = Named().eval()
    loaded = torch.jit.load(write_formats(model, inputs, tmp_path, ["torchscript"])["torchscript"])
    assert torch.allclose(loaded(**inputs)["logits"], model(**inputs)["logits"])


class FixedBatch(nn.Linear):
    """A forward whose trace holds the size of the batch it was traced with."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / len(x)


class FixedShape(nn.Linear):
    """A forward whose trace takes a batch of the size that it was traced with, and of no other."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.zeros(len(x), 1)


class Unscriptable(nn.Linear):
    def forward(self, x: Tensor) -> Any:
        return {"logits": super().forward(x), "note": object()}


class InAnObject(nn.Linear):
    """A network that returns its output in an object."""

    def forward(self, x: Tensor) -> Any:
        return SimpleNamespace(logits=super().forward(x))


def test_outputs_in_an_object_are_compared() -> None:
    example = module.Example.of(torch.rand(1, 4))
    [first], [second] = (example.outputs(InAnObject(4, 2)) for _ in range(2))
    assert first.shape == (2, 2)
    assert not module.equal_outputs([first], [second])


def test_what_would_give_other_outputs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be written as torchscript: it gives other outputs"):
        write_formats(FixedBatch(4, 2), torch.rand(1, 4), tmp_path, ["torchscript"])
    with pytest.raises(Failure, match="torchscript: it cannot take a batch of another size"):
        write_formats(FixedShape(4, 2), torch.rand(1, 4), tmp_path, ["torchscript"])
    with pytest.raises(Failure, match="cannot be written as torchscript: RuntimeError"):
        write_formats(Unscriptable(4, 2), torch.rand(1, 4), tmp_path, ["state", "torchscript"])
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]


@pytest.mark.skipif(not HAS_ONNX, reason="the extra onnx is not installed")
def test_onnx_gives_the_networks_outputs_for_any_batch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import onnx
    import onnxruntime

    level = logging.getLogger("torch.onnx").level
    model = network()
    path = write_formats(model, IMAGES, tmp_path, ["onnx"])["onnx"]
    assert [file.name for file in tmp_path.iterdir()] == ["best.onnx"]
    onnx.checker.check_model(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for images in (IMAGES, IMAGES[:1]):
        [found] = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        assert torch.allclose(torch.from_numpy(found), outputs(model, images), rtol=0, atol=1e-5)
    assert "".join(capfd.readouterr()) == ""
    assert logging.getLogger("torch.onnx").level == level


class Named(nn.Module):
    """Several inputs by name, and several outputs, the one of interest last."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.linear = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, tokens: Tensor, mask: Tensor) -> dict[str, Tensor]:
        hidden = self.embed(tokens) * mask[:, :, None]
        return {"hidden": hidden, "logits": self.linear(hidden.mean(1))}


@pytest.mark.skipif(not HAS_ONNX, reason="the extra onnx is not installed")
def test_onnx_of_several_inputs_and_outputs(tmp_path: Path) -> None:
    import onnxruntime

    inputs = {"mask": torch.rand(3, 5), "tokens": torch.randint(0, 9, (3, 5))}
    model = Named().eval()
    path = write_formats(model, inputs, tmp_path, ["onnx"])["onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    expected = model(**inputs)
    assert torch.allclose(torch.from_numpy(found[1]), expected["logits"], rtol=0, atol=1e-5)
    assert torch.allclose(torch.from_numpy(found[0]), expected["hidden"], rtol=0, atol=1e-5)


@pytest.mark.skipif(not HAS_ONNX, reason="the extra onnx is not installed")
def test_onnx_of_a_forward_that_takes_any_number_of_inputs(tmp_path: Path) -> None:
    space = spaces.get("mlp", features=4, outputs=2, categories=(3, 4))
    model = space.build(space.sample(np.random.default_rng(0)))
    inputs = torch.rand(3, 4), torch.zeros(3, 2, dtype=torch.int64)
    assert write_formats(model, inputs, tmp_path, ["onnx"])["onnx"].exists()


@pytest.mark.skipif(not HAS_ONNX, reason="the extra onnx is not installed")
def test_an_onnx_file_of_other_outputs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = module._onnx_function
    monkeypatch.setattr(module, "_onnx_function", lambda text: lambda *x: [y + 3e-5 for y in run(text)(*x)])
    with pytest.raises(Failure, match="cannot be written as onnx: it gives other outputs"):
        write_formats(nn.Linear(4, 2), torch.rand(1, 4), tmp_path, ["onnx"])
    assert not list(tmp_path.iterdir())


def test_onnx_without_the_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'zerocost\[onnx\]'"):
        write_formats(network(), IMAGES, tmp_path, ["state", "onnx"])
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown format 'onx'; did you mean 'onnx'"):
        write_formats(network(), IMAGES, tmp_path, ["onx"])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        write_formats(network(), IMAGES, tmp_path / "file", ["state"])
