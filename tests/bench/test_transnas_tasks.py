from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

import zerocost as zc

BENCH = Path(__file__).parents[2] / "bench"
ARCHITECTURES = {"transnas_macro": "64-1433-basic", "transnas_micro": "64-41414-1_02_333"}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    spec = importlib.util.spec_from_file_location("transnas_tasks", BENCH / "transnas_tasks.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "transnas_tasks", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("space", ARCHITECTURES)
def test_behind_each_head_outputs_are_of_the_kind_of_the_targets(bench: ModuleType, space: str) -> None:
    images = torch.rand(2, 3, 64, 64)
    for name, head in bench.HEADS.items():
        network = bench.build(zc.spaces.get(space), ARCHITECTURES[space], head)
        outputs = network(bench.tiles(images) if head.make is None else images)
        targets = head.targets(images)
        if targets.is_floating_point():
            assert outputs.shape == targets.shape, name
        else:
            assert outputs.shape[:1] + outputs.shape[2:] == targets.shape, name
            assert targets.max() < outputs.shape[1], name


def test_the_tiles_are_parts_of_the_image_at_twice_the_size(bench: ModuleType) -> None:
    image = torch.arange(64.0).reshape(1, 1, 8, 8).expand(1, 3, 8, 8)
    tiles = bench.tiles(image)
    assert tiles.shape == (1, 9, 3, 4, 4)
    assert tiles[0, 0, 0].unique().tolist() == [0, 1, 8, 9] and tiles[0, 8, 0].unique().tolist() == [54, 55, 62, 63]


def test_the_table_compares_kept_scores(bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    space = zc.spaces.get("transnas_macro")
    texts = sorted({str(space.sample(rng)) for _ in range(20)})
    truth = pd.DataFrame({task: rng.random(len(texts)) for task in bench.HEADS}, pd.Index(texts, name="architecture"))
    truth.to_csv(tmp_path / "transnas101-macro-sample.csv")
    bench.SPACES = ("transnas_macro",)
    for head in (bench.CLASSIFIED, *bench.HEADS):
        columns = [*bench.PROXIES, "params"]
        scores = pd.DataFrame(rng.random((len(texts), len(columns))), texts, columns)
        if head == "normal":
            scores["az_trainability"] = np.nan
            scores["naswot"] = truth["normal"]
        scores.rename_axis("arch").to_csv(tmp_path / f"transnas_macro-{head}.csv")
    bench.print_table(tmp_path, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1] for line in lines[2:9]] == list(bench.HEADS)
    (trainability,) = [line for line in lines if line.startswith("| `az_trainability`")]
    assert trainability.endswith(", 6 tasks |")
