"""KerasTuner with scores before training, on the digits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from zerocost.combine import Combination
from zerocost.errors import Failure, InputError

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


def test_only_models_that_pass_the_conditions_are_trained(tmp_path: Path) -> None:
    of_its_own = Combination({"params": 1.0}, where="depth < 9", batch=16)
    made = ZeroCostTuner(build, of_its_own, max_trials=6, train_top=2, where="flops < 1500", directory=tmp_path)
    made.search(IMAGES[:64], LABELS[:64], verbose=0, validation_data=(IMAGES[1200:], LABELS[1200:]))
    results = made.results
    small = results["flops"] < 1500
    assert 0 < small.sum() < 6
    assert results["val_accuracy"].notna().tolist() == (small & (small.cumsum() <= 2)).tolist()
    assert made.kept is not None
    assert "flops < 1500 is false" in made.kept.dropped[results.index[0]]
    assert made.table is not None
    assert made.table.cards[results.index[0]].provenance["inputs"] == (16, 64)
    with pytest.raises(InputError, match="no model is left to train; the best one: flops < 1 is false"):
        tuner(tmp_path, where="flops < 1").search(IMAGES[:64], LABELS[:64])


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
    with pytest.raises(InputError, match="arrays x and y or from batches of both, got ndarray and NoneType"):
        made.search(IMAGES)
    with pytest.raises(InputError, match="list does not give batches"):
        made.search([1, 2])


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    def __len__(self) -> int:
        return 5

    def __getitem__(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        return IMAGES[place * 20 : place * 20 + 20], LABELS[place * 20 : place * 20 + 20]


def test_a_batch_of_batches() -> None:
    tensors = torch.utils.data.TensorDataset(torch.tensor(IMAGES), torch.tensor(LABELS))
    for dataset in Batches(), torch.utils.data.DataLoader(tensors, batch_size=20):
        batch = sample(dataset, None, 30, 0)
        assert sorted(batch.targets.tolist()) == sorted(LABELS[:30])
        assert batch.inputs.sum() == pytest.approx(IMAGES[:30].sum())
    assert len(sample(Batches(), None, 1000, 0).inputs) == 100


def test_a_search_on_a_dataset_of_batches(tmp_path: Path) -> None:
    made = tuner(tmp_path, max_trials=2, train_top=1)
    made.search(Batches(), epochs=1, verbose=0, validation_data=(IMAGES[1200:], LABELS[1200:]))
    assert made.results["val_accuracy"].notna().sum() == 1


def test_scores_are_kept_when_nothing_can_be_trained(tmp_path: Path) -> None:
    made = tuner(tmp_path, max_trials=3, train_top=3)
    with pytest.raises(Failure, match=r"none of the 3 models of .* could be trained; the last one: .*hopeless"):
        made.search(IMAGES[:64], LABELS[:64], verbose=0, callbacks=[Hopeless()])
    assert len(made.table.frame) == 3


class Hopeless(keras.callbacks.Callback):  # type: ignore[misc]
    def on_epoch_begin(self, *_: object) -> None:
        raise ValueError("hopeless")
