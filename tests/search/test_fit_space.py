from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import zerocost as zc
from zerocost.base.errors import InputError
from zerocost.cli.main import app
from zerocost.data import load, split
from zerocost.data.tensors import TensorData
from zerocost.search.fit_space import fit_space
from zerocost.tasks import next_token, regression


def write_table(folder: Path) -> str:
    """Two numbers and two columns of texts; one text of `kind` is in the last row alone."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, 2)), columns=["a", "b"])
    frame["kind"], frame["shade"] = ["x", "y"] * 29 + ["x", "z"], ["dark", "light", "red"] * 20
    frame["price"] = 3 * frame["a"] - frame["b"] + 2 * (frame["kind"] == "x")
    frame.to_csv(folder / "table.csv", index=False)
    return f"csv:{folder / 'table.csv'}:price"


def write_series(folder: Path) -> str:
    steps = np.arange(200)
    pd.DataFrame({"load": np.sin(steps / 5), "heat": np.cos(steps / 5)}).to_csv(folder / "series.csv", index=False)
    return f"series:{folder / 'series.csv'}:load:12:2"


def test_a_table_gives_numbers_and_the_codes_of_all_its_rows(tmp_path: Path) -> None:
    data = load(write_table(tmp_path))
    train, _ = data.parts(torch.arange(50), torch.arange(50, 60))
    space, sizes = fit_space("mlp", train, regression)
    assert sizes == {"features": 2, "outputs": 1, "categories": (4, 4)}
    network = space.build(space.sample(np.random.default_rng(0))).eval()
    assert network(*data.images).shape == (60, 1)


def test_numbers_or_codes_alone() -> None:
    numbers = TensorData(torch.randn(6, 3), torch.arange(6) % 2)
    assert fit_space("mlp", numbers)[1] == {"features": 3, "outputs": 2}
    codes = TensorData(torch.tensor([[0, 4], [1, 2]] * 3), torch.randn(6, 5))
    assert fit_space("mlp", codes, regression)[1] == {"features": 0, "outputs": 5, "categories": (2, 5)}


def test_rows_with_a_single_one_have_a_place_for_each_class() -> None:
    rows = torch.eye(4)[torch.arange(6) % 3]
    assert fit_space("mlp", load((torch.rand(6, 5), rows)))[1] == {"features": 5, "outputs": 4}


def test_mappings_are_read_as_pairs() -> None:
    rows: Any = [{"x": torch.randn(3), "label": i % 4} for i in range(8)]
    assert fit_space("mlp", rows)[1] == {"features": 3, "outputs": 4}
    texts: Any = [{"ids": torch.tensor([i, 2]), "label": i % 2} for i in range(8)]
    assert fit_space("bert", texts)[1] == {"vocabulary": 8, "classes": 2}


def test_series_and_images() -> None:
    series = TensorData(torch.randn(6, 12, 3), torch.randn(6, 2))
    assert fit_space("tcn", series, regression)[1] == {"features": 3, "outputs": 2}
    images = TensorData(torch.randn(6, 3, 8, 8), torch.arange(6) % 4)
    assert fit_space("cnn", images)[1] == {"classes": 4, "in_channels": 3, "resolution": 8}


@pytest.mark.parametrize(
    ("space", "inputs", "message"),
    [
        ("mlp", torch.randn(4, 3, 8, 8), r"takes rows of numbers or codes .* samples are \(3, 8, 8\)"),
        ("mlp", (torch.randn(4, 3), torch.randn(4, 2)), "takes rows of numbers or codes .* samples are tuple"),
        ("tcn", torch.randn(4, 3), r"takes series time×features, .* samples are \(3,\)"),
        ("cnn", torch.randn(4, 3), r"takes square images C×H×W, .* samples are \(3,\)"),
    ],
)
def test_other_data_is_refused(space: str, inputs: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_space(space, TensorData(inputs, torch.arange(4)))


@pytest.mark.parametrize("space", [3, ["cnn"], object()])
def test_what_is_no_space_is_named(space: Any) -> None:
    with pytest.raises(InputError, match=r"space must be a SearchSpace, the name of one, .* but got"):
        fit_space(space, TensorData(torch.randn(4, 3), torch.arange(4)))


def test_a_task_without_a_row_of_outputs_is_refused() -> None:
    with pytest.raises(InputError, match="not for next_token"):
        fit_space("mlp", TensorData(torch.arange(8).view(2, 4), torch.arange(8).view(2, 4)), next_token)


@pytest.mark.parametrize(("space", "write"), [("mlp", write_table), ("tcn", write_series)])
def test_a_search_at_the_shell_from_a_file_to_a_trained_network(tmp_path: Path, space: str, write) -> None:  # type: ignore[no-untyped-def]
    options = ["--candidates", "4", "--keep", "1", "--epochs", "1", "--batch", "16", "--proxies", "log_synflow,snip"]
    found = CliRunner().invoke(app, ["search", "--space", space, "--data", write(tmp_path), *options, "--json"])
    assert found.exit_code == 0, found.output
    (best,) = json.loads(found.stdout)["ranking"]
    assert best["candidate"].startswith("depth=")
    assert "mean_squared_error" in found.stdout


def test_a_data_set_that_is_split_keeps_its_codes(tmp_path: Path) -> None:
    fitting, *_ = split(load(write_table(tmp_path)), 0.2, seed=0)
    assert isinstance(fitting, TensorData)
    assert fitting.codes == (4, 4)
    assert zc.spaces.get("mlp", features=2, categories=fitting.codes).size == 11880


def test_tokens_give_the_vocabulary() -> None:
    ids = torch.tensor([[1, 4], [2, 0], [6, 3]])
    assert fit_space("gpt", TensorData(ids, ids), next_token)[1] == {"vocabulary": 7}
    assert fit_space("bert", TensorData(ids, torch.tensor([0, 2, 1])))[1] == {"vocabulary": 7, "classes": 3}
    with pytest.raises(InputError, match=r"token ids count from 0, but the data's inputs hold -2; .* such as 5"):
        fit_space("bert", TensorData(ids - 2, torch.tensor([0, 2, 1])))


def test_a_decoder_is_for_the_next_token_alone_and_takes_ids() -> None:
    ids = torch.zeros(3, 2, dtype=torch.long)
    with pytest.raises(InputError, match="space 'gpt' has logits for each token, so it is not for classification"):
        fit_space("gpt", TensorData(ids, torch.arange(3)))
    with pytest.raises(InputError, match="space 'bert' takes token ids, but the data's samples are"):
        fit_space("bert", TensorData(torch.rand(3, 2), torch.arange(3)))
