"""The examples run as they are, in a fresh interpreter outside the repository, and show what they promise."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zerocost import spaces

EXAMPLES = Path(__file__).parents[2] / "examples"
SHOWS = {
    "abdelfattah_2021": ["usage: abdelfattah_2021.py", "--data"],
    "az_nas": ["usage: az_nas.py", "--data"],
    "judge_proxies": ["validation_accuracy on digits", "all together", "95 % interval"],
    "own_proxy": ["3 proxies: 1 forward and 1 backward runs", "depth=8"],
    "rank_candidates": ["rank_score", "broken failed: the network raised", "kept: width=", "is false: params ="],
    "score_a_model": ["10 proxies: 2 forward and 4 backward runs", "jacob_cov", "float32 on cpu"],
    "train_fit_choose": ["best of 12 trained", "surrogate: ", "best of the others: "],
    "search_and_train": ["proposals of strategy random", "random picks", "best: width="],
    "with_autokeras": ["val_accuracy", "accuracy "],
    "with_huggingface": ["non_embedding_params", "rank_score"],
    "with_keras_tuner": ["val_accuracy", "accuracy "],
    "with_lightning": ["loss: training_step"],
    "with_optuna": ["best untrained:", "skipped; best accuracy"],
    "tune_a_combination": ["on held-out architectures: Kendall", "95 % interval", "depth="],
}


NEEDS = {"with_autokeras": "autokeras", "with_huggingface": "transformers", "with_keras_tuner": "keras_tuner"}


def test_every_example_is_tested() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(SHOWS)


@pytest.mark.parametrize("name", SHOWS)
def test_example(name: str, tmp_path: Path) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"needs {NEEDS[name]}")
    shown = run(name, tmp_path)
    for text in SHOWS[name]:
        assert text in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "proxies"),
    [
        ("abdelfattah_2021", ["grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov", "vote"]),
        ("az_nas", ["params", "flops", "gradsign", "zen", "zico", "az_expressivity", "az_nas"]),
    ],
)
def test_the_table_of_a_paper(name: str, proxies: list[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cells = spaces.distinct(spaces.get("nasbench201"), 4, rng)
    truth = tmp_path / "truth.csv"
    truth.write_text("arch,test_accuracy\n" + "".join(f"{cell},{rng.uniform(80, 95):.2f}\n" for cell in cells))
    small = ("--batch", "4", "--fidelity", "width=0.25,depth=0.2,resolution=8")
    shown = run(name, tmp_path, "--truth", str(truth), "--data", "noise:3x8x8:10", *small)
    assert "test_accuracy on cifar10 after 200 epochs, seed mean; 4 cells" in shown
    for proxy in proxies:
        row = re.search(rf"^{proxy} +(0\.\d+|–) +(-?[01]\.\d+)", shown, re.M)
        assert row, proxy
        assert -1 <= float(row[2]) <= 1


def run(name: str, folder: Path, *arguments: str) -> str:
    """What an example prints, which must be all it does."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    return ran.stdout
