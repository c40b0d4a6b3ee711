"""The script that runs whole searches with real trainings, on few and short ones."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    threads = torch.get_num_threads()
    monkeypatch.syspath_prepend(str(BENCH))
    module = importlib.import_module("real_searches")
    for name, value in {"CANDIDATES": 12, "TRAININGS": 6, "COUNTS": (2, 6)}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setitem(module.PROBLEMS, "mlp", module.PROBLEMS["mlp"]._replace(epochs=1))
    yield module
    torch.set_num_threads(threads)
    for name in ("real_searches", "spend", "loop", "trainings", "tasks", "nasbench201_scores", "tables"):
        sys.modules.pop(name, None)


def test_every_way_trains_as_many_and_nothing_twice(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.run("mlp", tmp_path, 2)
    rows = pd.read_csv(tmp_path / "mlp-0.csv")
    assert (rows.groupby("way")["arch"].nunique() == 6).all() and rows["way"].nunique() == 5
    assert (rows.groupby("arch")["metric"].nunique() == 1).all()
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.csv")}
    capsys.readouterr()
    script.run("mlp", tmp_path, 2)
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.csv")}
    script.show(tmp_path)
    shown = capsys.readouterr().out
    assert shown.startswith("\n**mlp**, 2 searches: ") and shown.count("\n| ") == 6
    script.why("mlp", tmp_path)
    assert "ρ of rank_score, metric: " in capsys.readouterr().out


def test_small_cells_keep_the_space(script: Any) -> None:
    space = script.small_darts()
    arch = space.sample(np.random.default_rng(0))
    assert sum(parameter.numel() for parameter in space.build(arch).parameters()) < 1e5
