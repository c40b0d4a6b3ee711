"""The examples run as they are, in a fresh interpreter outside the repository, and show what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SHOWS = {
    "own_proxy": ["3 proxies: 1 forward and 1 backward runs", "depth=8"],
    "rank_candidates": ["rank_score", "broken failed: the network raised", "kept: width=", "is false: params ="],
    "score_a_model": ["10 proxies: 2 forward and 4 backward runs", "jacob_cov", "float32 on cpu"],
    "search_and_train": ["distinct architectures of small_cnn", "random picks", "best: width="],
}


def test_every_example_is_tested() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(SHOWS)


@pytest.mark.parametrize("name", SHOWS)
def test_example(name: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    for text in SHOWS[name]:
        assert text in ran.stdout
    assert not list(tmp_path.iterdir())
