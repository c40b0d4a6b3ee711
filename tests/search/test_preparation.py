from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Subset, TensorDataset

from zerocost import data, tasks
from zerocost.base.user_code import load_object
from zerocost.data.tensors import TensorData
from zerocost.search.export import export
from zerocost.search.origin import Origin
from zerocost.search.preparation import describe_inputs, describe_outputs, describe_tensor, plain
from zerocost.search.standalone import _prepare


def test_raw_digits_are_prepared_as_in_training(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, 10))\n")
    parts = data.split(data.load("digits:8"))
    images: list[Tensor] = [part.images for part in parts]  # type: ignore[attr-defined]
    settings = {"inputs": describe_inputs(images[0][:1], parts[0])}
    model: nn.Module = load_object(f"{own}:net")()
    with torch.no_grad():
        files = export(model, images[0], tmp_path / "out", origin=Origin(f"{own}:net"), settings=settings)
    prepare = load_object(f"{files['network']}:prepare")
    raw = torch.tensor(load_digits().images, dtype=torch.float32) / 16
    assert _largest_distance(torch.cat(images), prepare(raw[:, None])) < 1e-4
    assert _largest_distance(torch.cat(images), prepare((raw * 255).round().byte().numpy())) < 0.2


def test_one_image_is_no_batch() -> None:
    colour = {"shape": ["N", 3, 8, 8], "dtype": "float32"}
    one = torch.zeros(8, 8, 3, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"got one of shape \(8, 8, 3\); give image\[None\]"):
        _prepare(one, colour)
    assert _prepare(one[None], colour).shape == (1, 3, 8, 8)
    assert _prepare(one[:, :, [0] * 8], colour).shape == (8, 1, 8, 8)


@pytest.mark.parametrize("shape", [["N", 2], ["N", 4, 2]])
def test_small_whole_numbers_of_columns_are_no_pixels(shape: list[Any]) -> None:
    kind = {"shape": shape, "dtype": "float32", "columns": ["a", "b"]}
    rows = torch.arange(2).expand(3, *shape[1:])
    assert torch.equal(_prepare(rows.byte(), kind), rows.float())


def _largest_distance(images: Tensor, prepared: Tensor) -> float:
    """Between an image and the prepared one that is nearest to it."""
    exact = "donot_use_mm_for_euclid_dist"
    return float(torch.cdist(images.flatten(1), prepared.flatten(1), compute_mode=exact).amin(1).max())


def test_raw_rows_of_a_table_are_prepared_as_in_training(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("from torch import nn\n\ndef net():\n    return nn.Linear(2, 2)\n")
    file = tmp_path / "rows.csv"
    file.write_text(
        "a,b,y\n" + "".join(f"{i},{i * i if i % 3 else ''},{'no' if i % 2 else 'yes'}\n" for i in range(20))
    )
    train, _ = data.split(data.load(f"csv:{file}:y"))
    rows: Tensor = train.images  # type: ignore[attr-defined]
    settings = {"inputs": describe_inputs(rows, train), "outputs": describe_outputs(train)}
    model: nn.Module = load_object(f"{own}:net")()
    files = export(model, rows, tmp_path / "out", origin=Origin(f"{own}:net"), settings=settings)
    raw = torch.tensor([[i, i * i if i % 3 else torch.nan] for i in range(20)])
    assert _largest_distance(rows, load_object(f"{files['network']}:prepare")(raw)) < 1e-5
    assert settings["outputs"] == {"classes": ["no", "yes"]}


def test_raw_rows_of_a_series_become_windows_as_the_network_was_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "load.csv"
    frame = pd.DataFrame({"load": np.arange(50.0) ** 2, "heat": np.sin(np.arange(50))})
    frame.to_csv(file, index=False)
    train, validation = data.split(data.load(f"series:{file}:load:8:2"))
    windows: Tensor = validation.images  # type: ignore[attr-defined]
    prepared = _prepare(torch.tensor(frame.to_numpy()[None, -10:-2]), describe_inputs(windows, train))
    assert _largest_distance(windows[-1:], prepared) < 1e-5
    mean, deviation = describe_outputs(train)["target_scale"]
    assert (mean + deviation * validation[-1][1]).tolist() == pytest.approx([48**2, 49**2])


def test_numbers_beside_categories_have_their_deviation(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b,y\n" + "".join(f"{i},{'uv'[i % 2]},{i / 2}\n" for i in range(4)))
    table = data.load(f"csv:{file}:y")
    numbers, codes = describe_inputs(table.images, table)  # type: ignore[attr-defined]
    assert numbers == {"shape": ["N", 1], "dtype": "float32", "mean": [1.5], "std": [1.25**0.5], "columns": ["a"]}
    assert codes == {"shape": ["N", 1], "dtype": "int64", "categories": {"b": ["u", "v"]}}
    assert describe_outputs(table) == {"target_scale": [0.75, 1.25**0.5 / 2]}


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


def _exported(tmp_path: Path, spec: str, source: str) -> tuple[Path, TensorData]:
    """The exported `network.py` of a network for the training part of some data, and that part."""
    own = tmp_path / "mine.py"
    own.write_text(source)
    train, _ = data.split(data.load(spec))
    assert isinstance(train, TensorData)
    sample = data.draw(train, 1).inputs
    model: nn.Module = load_object(f"{own}:net")()
    outputs = describe_tensor(model, sample, tasks.TASKS[train.task or "classification"]) | describe_outputs(train)
    settings = {"inputs": describe_inputs(sample, train), "outputs": outputs}
    files = export(model, sample, tmp_path / "out", origin=Origin(f"{own}:net"), settings=settings)
    return files["network"], train


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_raw_windows_of_a_series_are_prepared_and_predictions_read_in_their_unit(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"day": ["x"] * 30, "heat": range(30), "load": [5.0 + i * i for i in range(30)]})
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(tmp_path / "a.parquet")
    else:
        frame.to_csv(tmp_path / "a.csv", index=False)
    source = "from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(8, 2))\n"
    file, train = _exported(tmp_path, f"series:{tmp_path}/a.{suffix}:load:4:2", source)
    raw = torch.tensor(frame[["heat", "load"]].to_numpy(), dtype=torch.float32)
    assert load_object(f"{file}:settings")()["inputs"]["columns"] == ["heat", "load"]
    windows = torch.stack([raw[i : i + 4] for i in range(len(train))])
    assert torch.allclose(load_object(f"{file}:prepare")(windows), train.images, atol=1e-5)
    ahead = torch.stack([raw[i + 4 : i + 6, 1] for i in range(len(train))])
    assert torch.allclose(load_object(f"{file}:read")(train.targets).float(), ahead, rtol=1e-4)


@pytest.mark.parametrize("size", [1e-170, 1e200])
def test_very_small_and_large_numbers_are_prepared_and_read(tmp_path: Path, size: float) -> None:
    pd.DataFrame({"x": size * np.arange(9.0), "y": -size * np.arange(9.0)}).to_csv(tmp_path / "a.csv", index=False)
    source = "from torch import nn\n\ndef net():\n    return nn.Linear(1, 1)\n"
    file, _ = _exported(tmp_path, f"csv:{tmp_path}/a.csv:y", source)
    prepared = load_object(f"{file}:prepare")(pd.read_csv(tmp_path / "a.csv"))
    assert prepared.dtype == torch.float32
    read = load_object(f"{file}:read")(-prepared.requires_grad_()[:, 0]).numpy()
    assert (read / size).tolist() == pytest.approx(list(range(0, -9, -1)), abs=1e-5)


def test_raw_categories_are_prepared_and_classes_read_by_name(tmp_path: Path) -> None:
    rows = "".join(f"{i},{['red', 'blue', 'green'][i % 3]},{'no' if i % 2 else 'yes'}\n" for i in range(30))
    (tmp_path / "a.csv").write_text("size,colour,y\n" + rows)
    source = (
        "from torch import nn\n\nclass net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.head = nn.Linear(1, 2)\n\n    def forward(self, size, colour):\n"
        "        return {'aux': size, 'logits': self.head(size)}\n"
    )
    file, train = _exported(tmp_path, f"csv:{tmp_path}/a.csv:y", source)
    frame = pd.read_csv(tmp_path / "a.csv")
    prepared = load_object(f"{file}:prepare")((frame[["size"]].to_numpy(), frame[["colour"]].to_numpy()))
    assert {tuple(row) for row in prepared[1].tolist()} == {(1,), (2,), (3,)}
    places = [int((prepared[0] - one).abs().argmin()) for one in train.images[0]]
    assert torch.equal(prepared[1][places], train.images[1])
    assert load_object(f"{file}:prepare")(([[1.0]], [["mauve"]]))[1].tolist() == [[0]]
    said = load_object(f"{file}:settings")()["outputs"]
    assert said == {"task": "classification", "tensor": "logits", "classes": ["no", "yes"]}
    names = load_object(f"{file}:read")({"aux": None, "logits": torch.tensor([[0.0, 1.0], [2.0, 1.0]])})
    assert names == ["yes", "no"]
    assert load_object(f"{file}:read")(load_object(f"{file}:load")()(*prepared))[0] in ("yes", "no")


def test_a_frame_of_a_table_is_prepared_by_the_names_of_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    rows = [f"{i},{'ab'[i % 2]},{i % 3 or ''},{['True', 'False', ''][i % 3]},{i / 2}" for i in range(30)]
    file.write_text("area,city,rooms,garden,price\n" + "\n".join(rows) + "\n")
    table = data.load(f"csv:{file}:price")
    frame, kinds = pd.read_csv(file), plain(describe_inputs(table.images, table))  # type: ignore[attr-defined]
    shuffled = frame[["garden", "price", "city", "rooms", "area"]]
    for given in (frame, shuffled, frame.convert_dtypes(), (frame[["area", "rooms"]].to_numpy(), shuffled)):
        numbers, codes = _prepare(given, kinds)
        assert torch.allclose(numbers, table.images[0], atol=1e-5)  # type: ignore[attr-defined]
        assert torch.equal(codes, table.images[1])  # type: ignore[attr-defined]
    assert torch.allclose(_prepare(frame.iloc[:5], kinds[0]), table.images[0][:5], atol=1e-5)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda frame: frame[["area", "city"]], "the table has no column 'garden'; expected city, garden"),
        (lambda frame: (frame[["area"]],), "the network takes 2 inputs, got 1"),
        (
            lambda frame: ([[1.0], [2.0]], [["a"], ["b"]]),
            "expected N×2 with the columns city, garden, got shape 2×1",
        ),
        (lambda frame: (torch.zeros(4), frame), "expected N×1 with the columns area, got shape 4"),
    ],
)
def test_what_is_no_rows_of_the_table_is_refused(given: Any, message: str) -> None:
    number = {"shape": ["N", 1], "dtype": "float32", "mean": [0.0], "std": [1.0], "columns": ["area"]}
    texts = {"shape": ["N", 2], "dtype": "int64", "categories": {"city": ["a", "b"], "garden": ["no", "yes"]}}
    frame = pd.DataFrame({"area": [1.0, 2.0], "city": ["a", "b"], "garden": ["no", "yes"]})
    with pytest.raises(ValueError, match=message):
        _prepare(given(frame), [number, texts])


def test_truth_values_with_gaps_are_the_categories_of_their_texts(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("garden,y\n" + "True,1.5\nFalse,2.5\n,3.5\n" * 5)
    table = data.load(f"csv:{file}:y")
    rows = pd.read_csv(file)[["garden"]].values.tolist()
    assert {row[0] for row in rows} >= {True, False}
    prepared = _prepare(rows, describe_inputs(table.images, table))  # type: ignore[attr-defined]
    assert prepared.tolist() == table.images.tolist() == [[2], [1], [0]] * 5  # type: ignore[attr-defined]
    assert _prepare([[2], [0]], describe_inputs(table.images, table)).tolist() == [[2], [0]]  # type: ignore[attr-defined]
