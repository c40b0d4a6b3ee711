"""KerasTuner with scores before training, on the digits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from zerocost.errors import InputError

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
pytest.importorskip("keras_tuner")

from zerocost.integrations.keras import ZeroCostTuner  # noqa: E402
from zerocost.integrations.tuner import sample  # noqa: E402

IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES = (IMAGES / 16).astype("float32")


def build(hp: Any) -> Any:
    model = keras.Sequential([keras.Input((64,))])
    model.add(keras.layers.Dense(hp.Int("width", 4, 32, step=4), activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def tuner(folder: Path, **settings: Any) -> ZeroCostTuner:
    return ZeroCostTuner(build, "params", directory=folder, **settings)


def test_all_are_scored_and_the_best_few_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tuner(tmp_path, max_trials=5, train_top=2)
    validation = IMAGES[1200:], LABELS[1200:]
    made.search(IMAGES[:400], LABELS[:400], epochs=2, verbose=0, validation_data=validation)
    results = made.results
    assert len(results) == 5
    assert results["val_accuracy"].notna().tolist() == [True, True, False, False, False]
    assert results["params"].is_monotonic_decreasing
    assert len(made.tuner.oracle.trials) == 2
    model = made.get_best_models()[0]
    _, accuracy = model.evaluate(*validation, verbose=0)
    assert accuracy == pytest.approx(results["val_accuracy"].max(), abs=1e-6)
    assert f"width={made.get_best_hyperparameters()[0].values['width']}" == results["val_accuracy"].idxmax()
    made.results_summary()
    assert results.index[4] in capsys.readouterr().out


def test_all_there_are_when_there_are_fewer_and_the_seed_decides(tmp_path: Path) -> None:
    first, second = (tuner(tmp_path / name, max_trials=50, seed=3).proposals() for name in "ab")
    assert first == second
    assert sorted(values["width"] for values in first) == list(range(4, 33, 4))


def test_a_batch_of_arrays() -> None:
    one = sample(IMAGES, LABELS, 16, 0)
    other = sample(IMAGES, np.eye(10)[LABELS], 16, 0)
    assert torch.equal(one.inputs, other.inputs)
    assert torch.equal(one.targets, other.targets)


def test_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train_top must be from 1 to max_trials=2"):
        tuner(tmp_path, max_trials=2, train_top=3)
    made = tuner(tmp_path)
    with pytest.raises(InputError, match="nothing was searched yet"):
        made.results_summary()
    with pytest.raises(InputError, match="arrays x and y only"):
        made.search(IMAGES)
