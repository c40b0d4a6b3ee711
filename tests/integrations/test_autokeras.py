"""AutoKeras with scores before training, on the digits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from zerocost.base.errors import InputError

os.environ.setdefault("KERAS_BACKEND", "torch")
keras_tuner = pytest.importorskip("keras_tuner")
autokeras = pytest.importorskip("autokeras")

from zerocost.integrations.keras import filtered  # noqa: E402
from zerocost.integrations.kerastuner import ignore_version_warnings  # noqa: E402

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
    with ignore_version_warnings():
        assert len(auto.predict(IMAGES[:3], verbose=0)) == 3


def dense(folder: Path, head: Any, proxies: str = "params", **settings: Any) -> Any:
    """A search among few small dense networks."""
    inputs = autokeras.Input()
    middle = autokeras.DenseBlock(num_layers=1, use_batchnorm=False, dropout=0.0)(inputs)
    fixed = keras_tuner.HyperParameters()
    for name, value in {"optimizer": "adam", "learning_rate": 1e-3}.items():
        fixed.Fixed(name, value)
    settings = {
        "tuner": filtered(proxies, candidates=3),
        "max_trials": 1,
        "objective": "val_loss",
        "seed": 1,
    } | settings
    return autokeras.AutoModel(inputs, head(middle), directory=folder, hyperparameters=fixed, **settings)


def fit(auto: Any, labels: np.ndarray) -> Any:
    """The results of a short search on the digits."""
    images = IMAGES.reshape(len(IMAGES), -1)
    auto.fit(images[:32], labels[:32], validation_data=(images[32:64], labels[32:64]), epochs=1, verbose=0)
    return auto.tuner.results


def test_a_search_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    head = autokeras.ClassificationHead(dropout=0.0)
    before, after = (fit(dense(tmp_path, head, max_trials=trials), LABELS)["val_loss"] for trials in (1, 2))
    assert before.index.tolist() == after.index.tolist()
    assert len(after.dropna()) == 2
    assert (after[before.dropna().index] == before.dropna()).all()
    with pytest.raises(InputError, match=r"auto_model holds another search, .* overwrite=True"):
        fit(dense(tmp_path, autokeras.ClassificationHead(), max_retries_per_trial=1), LABELS)


def test_labels_are_those_of_a_head_of_classes(tmp_path: Path) -> None:
    def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).square().mean()

    two = fit(dense(tmp_path, autokeras.ClassificationHead(), "snip,params", project_name="two"), LABELS % 2)
    assert np.isfinite(two["snip"]).all()
    number = fit(dense(tmp_path, autokeras.RegressionHead(), "snip,params", project_name="number"), LABELS)
    assert number["snip"].isna().all()
    given = filtered("snip", candidates=2, loss=squared)
    assert np.isfinite(fit(dense(tmp_path, autokeras.RegressionHead(), tuner=given), LABELS)["snip"]).all()


def test_a_model_above_the_size_is_not_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model is left to train; the best one: .* more than max_model_size=9"):
        fit(dense(tmp_path, autokeras.ClassificationHead(), max_model_size=9), LABELS)


def test_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="candidates must be at least 1"):
        filtered(candidates=0)
    with pytest.raises(InputError, match="max_trials must be at most candidates=2, got 3"):
        model(tmp_path, filtered(candidates=2), max_trials=3)
