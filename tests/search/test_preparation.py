from __future__ import annotations

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Subset, TensorDataset

from zerocost import data
from zerocost.base.user_code import load_object
from zerocost.search.export import export
from zerocost.search.origin import Origin
from zerocost.search.preparation import describe_inputs, describe_outputs


def test_raw_digits_are_prepared_as_in_training(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, 10))\n")
    train, _ = data.split(data.load("digits:8"))
    images: Tensor = data.load("digits:8").images  # type: ignore[attr-defined]
    settings = {"inputs": describe_inputs(images[:1], train)}
    model: nn.Module = load_object(f"{own}:net")()
    with torch.no_grad():
        files = export(model, images, tmp_path / "out", origin=Origin(f"{own}:net"), settings=settings)
    prepare = load_object(f"{files['network']}:prepare")
    raw = torch.tensor(load_digits().images, dtype=torch.float32) / 16
    assert torch.allclose(prepare(raw[:, None]), images, atol=1e-5)
    assert torch.allclose(prepare((raw * 255).round().byte().numpy()), images, atol=0.01)


def test_shapes_and_dtypes_of_several_inputs_are_described() -> None:
    inputs = {"image": torch.zeros(5, 3, 8, 8), "ids": torch.zeros(5, 4, dtype=torch.long), "scale": torch.ones(2)}
    assert describe_inputs(inputs) == {
        "image": {"shape": ["N", 3, 8, 8], "dtype": "float32"},
        "ids": {"shape": ["N", 4], "dtype": "int64"},
        "scale": {"shape": [2], "dtype": "float32"},
    }


def test_what_data_does_not_know_is_left_out() -> None:
    part = Subset(TensorDataset(torch.zeros(5, 3)), [0])
    assert describe_inputs(torch.zeros(5, 3), part) == {"shape": ["N", 3], "dtype": "float32"}
    assert describe_outputs(part) == {}
