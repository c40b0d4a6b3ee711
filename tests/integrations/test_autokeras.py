"""AutoKeras with scores before training, on the digits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from zerocost.errors import InputError

os.environ.setdefault("KERAS_BACKEND", "torch")
keras_tuner = pytest.importorskip("keras_tuner")
autokeras = pytest.importorskip("autokeras")

from zerocost.integrations.keras import filtered  # noqa: E402
from zerocost.integrations.tuner import old_ways  # noqa: E402

DIGITS = load_digits()
IMAGES, LABELS = DIGITS.images[..., None].astype("float32"), DIGITS.target


def model(folder: Path, tuner: Any, **settings: Any) -> Any:
    given = autokeras.ImageInput()
    middle = autokeras.ConvBlock(kernel_size=3, separable=False)(autokeras.Normalization()(given))
    fixed = keras_tuner.HyperParameters()
    fixed.Fixed("optimizer", "adam")
    return autokeras.AutoModel(
        given,
        autokeras.ClassificationHead()(middle),
        tuner=tuner,
        directory=folder,
        objective="val_accuracy",
        hyperparameters=fixed,
        **settings,
    )


def test_all_are_scored_and_the_best_few_trained(tmp_path: Path) -> None:
    auto = model(
        tmp_path, filtered("params,jacob_cov", candidates=4, where="flops < 5e6", batch=16), max_trials=2, seed=1
    )
    with pytest.raises(InputError, match="nothing was searched yet"):
        _ = auto.tuner.results
    auto.fit(
        IMAGES[:96], LABELS[:96], epochs=1, verbose=0, validation_data=(IMAGES[96:160], LABELS[96:160]), batch_size=32
    )
    results = auto.tuner.results
    assert len(results) == 4
    passes = results["flops"] < 5e6
    assert 2 <= passes.sum() < 4
    assert results["val_accuracy"].notna().tolist() == (passes & (passes.cumsum() <= 2)).tolist()
    assert results["rank_score"].is_monotonic_decreasing
    assert np.isfinite(results["jacob_cov"]).all()
    assert auto.tuner.table.failures.empty
    assert all("reduction_type=" in name and "optimizer" not in name for name in results.index)
    assert all(sum("spatial_reduction" in key for key in found) == 1 for found in auto.tuner.candidates.values())
    assert len(auto.tuner.oracle.trials) == 2
    with old_ways():
        assert len(auto.predict(IMAGES[:3], verbose=0)) == 3


def test_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="candidates must be at least 1"):
        filtered(candidates=0)
    with pytest.raises(InputError, match="max_trials must be at most candidates=2, got 3"):
        model(tmp_path, filtered(candidates=2), max_trials=3)
