"""Real searches that are killed, and real searches that share a study, through bench/unbroken.py."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "unbroken.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_a_killed_search_goes_on_to_the_result_of_an_unbroken_one(script, tmp_path):
    """Seed 1 draws a moment in which it is scoring; a training that is killed is in tests/train/test_resume.py."""
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(100) % 4)
    options = ["--data", f"npz:{tmp_path}/images.npz", "--candidates", 12, "--keep", 1, "--epochs", 1]
    row = script["search_killed"](tmp_path, 1, options, seed=1, pause=0.5)
    assert row.kills == row.restarts > 0
    assert row.equal
    assert row.twice == row.lost == 0
    assert row.again <= row.kills


@pytest.mark.parametrize("kill", [False, True])
def test_two_processes_in_one_study_measure_each_architecture_once(script, place, tmp_path, kill):
    where = str(place) if "://" in str(place) else None
    row = script["search_shared"](tmp_path, where, kill, 12, ["--epochs", 0])
    assert row.equal
    assert row.twice == row.lost == 0
    assert row.again <= row.kills
