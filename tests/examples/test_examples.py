"""The examples run as they are, outside the repository, show what they promise and leave nothing behind.

In this process, on fewer digits, where what they import was imported before; one runs in an interpreter of its own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from zerocost import spaces

Run = Callable[..., str]
EXAMPLES = Path(__file__).parents[2] / "examples"
SHOWS = {
    "abdelfattah_2021": ["usage: abdelfattah_2021.py", "--data"],
    "az_nas": ["usage: az_nas.py", "--data"],
    "fit_a_language_model": ["4 scored", "active_params", "kv_cache_fp16"],
    "fit_a_latency": ["on the front of score and latency", " ms  width="],
    "fit_a_microcontroller": ["6 scored", "peak_memory_int8"],
    "forecast_a_series": ["random picks mean_absolute_error", "forecasts ["],
    "judge_proxies": ["validation_accuracy on digits", "all together", "95 % interval"],
    "label_images": ["random picks average_precision", "where there is [["],
    "own_proxy": ["3 proxies: 1 forward and 1 backward passes", "depth=8"],
    "predict_a_number": ["random picks mean_absolute_error", "predicts ["],
    "predict_text": ["random picks perplexity", "continues '    def "],
    "rank_candidates": ["rank_score", "broken failed: the network raised", "kept: width=", "is false: params ="],
    "score_a_model": ["10 proxies: 2 forward and 4 backward passes", "jacob_cov", "float32 on cpu"],
    "segment_images": ["random picks jaccard_index", "% of the pixels"],
    "train_few": ["best of 12 trained", "best of the others: "],
    "search_and_train": ["proposals of strategy random", "random picks", "best: width="],
    "track_trainings": ["width=64 seed 0: FINISHED", "width=16 seed 0: FINISHED", "2 epochs"],
    "with_autokeras": ["val_accuracy", "accuracy "],
    "with_huggingface": ["non_embedding_params", "rank_score"],
    "with_keras": ["outputs: logits, before the final softmax", "rank_score"],
    "with_keras_tuner": ["val_accuracy", "accuracy "],
    "with_lightning": ["loss: training_step"],
    "with_timm": ["rank_score", "kept: ", "params < 1e7 is false"],
    "with_optuna": ["best untrained:", "skipped; best accuracy"],
    "tune_a_combination": ["on held-out architectures: Kendall", "95 % interval", "depth="],
}


NEEDS = {
    "fit_a_latency": "onnxruntime",
    "track_trainings": "mlflow",
    "with_autokeras": "autokeras",
    "with_huggingface": "transformers",
    "with_keras": "keras",
    "with_keras_tuner": "keras_tuner",
    "with_timm": "timm",
}


DIGITS = load_digits()
FEW_DIGITS = Bunch(images=DIGITS.images[:400], target=DIGITS.target[:400])


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], registries: None
) -> Iterator[Run]:
    """Runs an example, and returns what it prints, which must be all it does."""
    verbosity, generator = optuna.logging.get_verbosity(), torch.get_rng_state()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")

    def run(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        if "keras" not in name:  # which count on the batches of all digits
            monkeypatch.setattr("sklearn.datasets.load_digits", lambda: FEW_DIGITS)
        try:
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        except SystemExit as end:
            assert not end.code, end.code
        printed, errors = capfd.readouterr()
        assert not errors
        return printed

    yield run
    optuna.logging.set_verbosity(verbosity)
    torch.set_rng_state(generator)


def test_every_example_is_tested() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(SHOWS)


@pytest.mark.parametrize("name", SHOWS)
def test_example(name: str, run: Run, tmp_path: Path) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"needs {NEEDS[name]}")
    shown = run(name)
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
def test_the_table_of_a_paper(name: str, proxies: list[str], run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cells = spaces.distinct(spaces.get("nasbench201"), 3, rng)
    truth = tmp_path / "truth.csv"
    truth.write_text("arch,test_accuracy\n" + "".join(f"{cell},{rng.uniform(80, 95):.2f}\n" for cell in cells))
    small = ("--batch", "4", "--fidelity", "width=0.25,depth=0.2,resolution=8")
    shown = run(name, "--truth", str(truth), "--data", "noise:3x8x8:10", *small)
    assert "test_accuracy on cifar10 after 200 epochs, seed mean; 3 cells" in shown
    for proxy in proxies:
        row = re.search(rf"^{proxy} +(0\.\d+|–) +(-?[01]\.\d+)", shown, re.M)
        assert row, proxy
        assert -1 <= float(row[2]) <= 1


def test_an_example_in_an_interpreter_of_its_own(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / "own_proxy.py"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert SHOWS["own_proxy"][0] in ran.stdout
    assert not list(tmp_path.iterdir())
