from __future__ import annotations

import runpy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import zerocost as zc

BENCH = Path(__file__).parents[2] / "bench"
TINY = "width=0.25,depth=0.2,resolution=8"


@pytest.fixture
def agreement() -> Iterator[dict[str, Any]]:
    threads = torch.get_num_threads()
    yield runpy.run_path(str(BENCH / "agreement.py"))
    torch.set_num_threads(threads)


def test_scores_are_kept_and_compared(
    agreement: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space, rng = zc.spaces.get("nasbench201"), np.random.default_rng(0)
    names = sorted({str(space.sample(rng)) for _ in range(12)})
    published = pd.DataFrame(rng.random((len(names), 13)), index=names, columns=list(agreement["OURS"]))
    published.rename_axis("arch").to_csv(tmp_path / "scores.csv")
    options = {"data": "noise:3x8x8", "n": 10, "batch": 8, "keep": tmp_path / "kept", "fidelity": TINY}
    agreement["main"].__globals__["spearman"] = partial(agreement["spearman"], draws=20)
    agreement["main"](tmp_path / "scores.csv", **options)
    kept = pd.read_csv(tmp_path / "kept" / "seed-0.csv", index_col="arch")
    assert len(kept) == 10
    assert set(agreement["OURS"].values()) <= set(kept)
    shown = capsys.readouterr().out
    assert all(name in shown for name in agreement["OURS"])
    agreement["main"](tmp_path / "scores.csv", **options)
    assert len(pd.read_csv(tmp_path / "kept" / "seed-0.csv")) == 10


def test_rank_correlation_and_its_interval(agreement: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    a = pd.Series(rng.random(60))
    assert agreement["spearman"](a, -a, rng) == pytest.approx((-1, -1, -1))
    estimate, low, high = agreement["spearman"](a, a + rng.random(60), rng)
    assert 0 < low < estimate < high < 1
    assert agreement["spearman"](a, a * 0, rng) == (0, 0, 0)
