"""KerasTuner with scores before training, on the digits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from zerocost.base.errors import Failure, InputError
from zerocost.combine import Combination, default, tokens

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
keras_tuner = pytest.importorskip("keras_tuner")

from zerocost.integrations.keras import ZeroCostTuner  # noqa: E402
from zerocost.integrations.keras.targets import draw_batch, read_classes, read_unchanged  # noqa: E402

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
    assert len(made.oracle.trials) == 2
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
        tuner(tmp_path, where="flops < 1", max_model_size=2000, overwrite=True).search(IMAGES[:64], LABELS[:64])


def test_all_there_are_when_there_are_fewer_and_the_seed_decides(tmp_path: Path) -> None:
    first, second, other = (tuner(tmp_path / name, max_trials=50, seed=int(name)).proposals() for name in "001")
    assert first == second
    assert first != other
    assert sorted(values["width"] for values in first) == list(range(4, 33, 4))


def varied(hp: Any) -> Any:
    """Layers whose hyperparameters appear only as they are built, and a branch with its own."""
    model = keras.Sequential([keras.Input((64,))])
    if hp.Choice("kind", ["plain", "deep"]) == "deep":
        for place in range(hp.Int("layers", 1, 3)):
            model.add(keras.layers.Dense(hp.Int(f"units_{place}", 4, 32, step=4)))
    with hp.conditional_scope("kind", ["plain"]):
        activation = hp.Choice("activation", ["relu", "tanh"])
    if activation:
        model.add(keras.layers.Dense(hp.Int("width", 4, 32, step=4), activation=activation))
    return finished(model)


def finished(model: Any) -> Any:
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_hyperparameters_that_appear_while_building_are_drawn(tmp_path: Path) -> None:
    made = ZeroCostTuner(varied, "params", directory=tmp_path, max_trials=20, train_top=3)
    made.search(IMAGES[:32], LABELS[:32], verbose=0, validation_data=(IMAGES[32:64], LABELS[32:64]))
    found = list(made.candidates.values())
    assert len(found) == 20
    for place in range(3):
        assert len({values.get(f"units_{place}") for values in found}) > 2
    for values in found:
        deep = [f"units_{place}" for place in range(values.get("layers", 0))]
        assert set(values) == {"kind", *(["layers", *deep] if values["kind"] == "deep" else ["activation", "width"])}
    trained = made.results.dropna()
    assert len(trained) == 3
    models, best = made.get_best_models(3), made.get_best_hyperparameters(3)
    for model, space in zip(models, best, strict=True):
        (name,) = (n for n, values in made.candidates.items() if values.items() <= space.values.items())
        assert model.count_params() == trained.loc[name, "params"]


def test_a_search_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    data = {"verbose": 0, "validation_data": (IMAGES[32:64], LABELS[32:64])}
    searches = []
    for top in 2, 3:
        made = ZeroCostTuner(varied, "params", directory=tmp_path, max_trials=8, train_top=top)
        made.search(IMAGES[:32], LABELS[:32], **data)
        searches.append(made)
    first, second = searches
    assert first.candidates == second.candidates
    before, after = (made.results["val_accuracy"].dropna() for made in searches)
    assert len(before) == 2
    assert len(after) == 3
    assert (after[before.index] == before).all()
    for other in (tuner(tmp_path), ZeroCostTuner(varied, "params", directory=tmp_path, max_trials=8, seed=1)):
        with pytest.raises(InputError, match=r"untitled_project holds another search, which trained .*kind=.*over"):
            other.search(IMAGES[:32], LABELS[:32], **data)
    fresh = tuner(tmp_path, max_trials=2, train_top=1, overwrite=True)
    fresh.search(IMAGES[:32], LABELS[:32], **data)
    assert len(fresh.results.dropna()) == 1


def test_what_kerastuner_takes_and_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = keras_tuner.HyperParameters()
    fixed.Fixed("kind", "deep")
    given = {"hyperparameters": fixed, "tune_new_entries": False, "max_retries_per_trial": 1, "max_model_size": 900}
    made = ZeroCostTuner(varied, "params", directory=tmp_path, project_name="one", seed=None, **given)
    assert made.proposals() == [{"kind": "deep", "layers": 1, "units_0": 4}]
    made.search_space_summary()
    assert "kind (Fixed)" in capsys.readouterr().out
    assert made.oracle is made.tuner.oracle
    assert made.oracle.max_retries_per_trial == 1
    assert Path(made.project_dir) == tmp_path / "one"
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        made.serach()
    big = tuner(tmp_path, max_model_size=100)
    with pytest.raises(InputError, match=r"no model is left to train; the best one: .* more than max_model_size=100"):
        big.search(IMAGES[:32], LABELS[:32])


@pytest.mark.parametrize(
    ("targets", "loss", "labels"),
    [
        (LABELS[:5], "sparse_categorical_crossentropy", LABELS[:5]),
        (LABELS[:5, None].astype(float), "sparsecategoricalcrossentropy", LABELS[:5]),
        (np.eye(10)[LABELS[:5]], "categorical_crossentropy", LABELS[:5]),
        (np.array([[True], [False]]), "binary_crossentropy", [1, 0]),
        (np.eye(10)[LABELS[:5]] * 0.9 + 0.01, "categorical_crossentropy", None),
        (np.eye(4), "binary_crossentropy", None),
        (np.array([0.5, 1.0]), "binary_crossentropy", None),
        (np.array([np.nan, 1.0]), "binary_crossentropy", None),
        (LABELS[:5], "mse", None),
        (np.eye(4), "mse", None),
        (np.zeros((5, 8, 8), int), "sparse_categorical_crossentropy", None),
        (np.array(["a", "b"]), "categorical_crossentropy", None),
    ],
)
def test_labels_are_classes_only(targets: np.ndarray, loss: str, labels: Any) -> None:
    found = read_classes(targets, loss)
    assert (found is None) == (labels is None)
    assert labels is None or found.tolist() == list(labels)


def regression(hp: Any) -> Any:
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(hp.Int("width", 4, 8)), keras.layers.Dense(1)])
    model.compile("adam", keras.losses.MeanSquaredError())
    return model


def test_targets_that_are_no_classes(tmp_path: Path) -> None:
    def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs[:, 0] - targets).square().mean()

    settings = {"objective": "val_loss", "max_trials": 2, "train_top": 1, "directory": tmp_path}
    data = {"verbose": 0, "validation_data": (IMAGES[32:64], LABELS[32:64])}
    without = ZeroCostTuner(regression, "params", where="snip > 0", **settings)
    with pytest.raises(
        InputError, match=r"no model is left to train; .* snip > 0 is false: snip failed \(snip: needs labels"
    ):
        without.search(IMAGES[:32], LABELS[:32].astype(float), **data)
    assert "label" in without.table.failures["reason"][0]
    made = ZeroCostTuner(regression, "snip", loss=squared, **settings)
    made.search(IMAGES[:32], LABELS[:32].astype(float), **data)
    assert np.isfinite(made.results["snip"]).all()
    assert len(made.results.dropna()) == 1


def test_two_classes_and_models_that_are_built_on_the_batch(tmp_path: Path) -> None:
    def unbuilt(hp: Any) -> Any:
        model = keras.Sequential([keras.layers.Dense(hp.Int("width", 4, 8)), keras.layers.Dense(1, "sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model

    made = ZeroCostTuner(unbuilt, "snip", max_trials=2, train_top=1, directory=tmp_path)
    made.search(IMAGES[:32], LABELS[:32] % 2, verbose=0, validation_data=(IMAGES[32:64], LABELS[32:64] % 2))
    assert np.isfinite(made.results["snip"]).all()
    assert len(made.results.dropna()) == 1


def test_a_batch_of_arrays() -> None:
    one = draw_batch(IMAGES, LABELS, 16, 0, read_unchanged)
    other = draw_batch(IMAGES, np.eye(10)[LABELS], 16, 0, read_unchanged)
    assert torch.equal(one.inputs, other.inputs)
    assert torch.equal(one.targets, other.targets.argmax(1))
    for x, y in ((IMAGES, LABELS[:9]), (IMAGES.astype(str), LABELS), (IMAGES, [[1], [1, 2]])):
        with pytest.raises(InputError, match="give batch="):
            draw_batch(x, y, 16, 0, read_unchanged)


def texts(hp: Any) -> Any:
    layers = keras.layers
    model = keras.Sequential([layers.Embedding(9, hp.Int("width", 2, 4)), layers.Flatten(), layers.Dense(2)])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_whole_numbers_are_token_ids_where_models_embed_them(tmp_path: Path) -> None:
    ids, labels = np.arange(40).reshape(8, 5) % 9, np.arange(8) % 2
    ranked = {}
    for name, model, inputs in (("texts", texts, ids), ("tables", build, np.arange(512).reshape(8, 64))):
        made = ZeroCostTuner(model, max_trials=2, train_top=1, objective="val_loss", directory=tmp_path / name)
        made.search(inputs, labels, verbose=0, validation_data=(inputs, labels))
        assert made.table is not None
        ranked[name] = made.table.combination.proxies
    assert ranked == {"texts": tokens.proxies, "tables": default.proxies}


def test_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train_top must be from 1 to max_trials=2"):
        tuner(tmp_path, max_trials=2, train_top=3)
    for loss in "mse", keras.losses.MeanSquaredError():
        with pytest.raises(InputError, match="loss must be a torch function of outputs and targets to score with, got"):
            tuner(tmp_path, loss=loss)
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
        batch = draw_batch(dataset, None, 30, 0, read_unchanged)
        assert sorted(batch.targets.tolist()) == sorted(LABELS[:30])
        assert batch.inputs.sum() == pytest.approx(IMAGES[:30].sum())
    assert len(draw_batch(Batches(), None, 1000, 0, read_unchanged).inputs) == 100


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
