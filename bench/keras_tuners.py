"""KerasTuner and AutoKeras on the digits: the best few by score trained, against as many drawn at random.

    python bench/keras_tuners.py [--candidates 20 --trained 3 --epochs 3] [--tool AutoKeras] [--where "flops < 2e7"]

Both ways train the same number of models for the same epochs on the same data, each tool by its own random search and
by ours in front of it; a third way is its random search for as long as ours took, scoring included. The model of best
validation accuracy is measured on test images that none saw.
"""

from __future__ import annotations

import os
import tempfile
import time
from typing import Annotated, Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import autokeras
import keras
import keras_tuner
import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

import zerocost as zc
from zerocost.integrations.keras import ZeroCostTuner, filtered
from zerocost.integrations.kerastuner import ignore_version_warnings

BATCH = 32  # fewer samples than the images have pixels, or the correlations of jacob_cov are of lower rank
TRAIN, VALIDATION, TEST = slice(0, 1000), slice(1000, 1400), slice(1400, None)


def digits(seed: int) -> tuple[Any, Any]:
    """All images, channels last, and their classes, in an order of the seed."""
    data: Any = zc.data.load("digits:8")
    order = np.random.default_rng(seed).permutation(len(data))
    images = np.stack([np.asarray(data[i][0]) for i in order]).transpose(0, 2, 3, 1).astype("float32")
    return images, np.array([int(data[i][1]) for i in order])


def network(hp: Any, shape: tuple[int, ...]) -> Any:
    """A small convolutional network of some hyperparameters."""
    kernel, act = hp.Choice("kernel", [1, 3, 5]), hp.Choice("act", ["relu", "tanh", "sigmoid"])
    norm, stride = hp.Boolean("norm"), hp.Choice("stride", [1, 2])
    model = keras.Sequential([keras.Input(shape)])
    for place in range(hp.Int("depth", 1, 4)):
        model.add(keras.layers.Conv2D(hp.Int("width", 4, 32, step=4), kernel, stride if place else 1, padding="same"))
        if norm:
            model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.Activation(act))
    model.add(keras.layers.GlobalAveragePooling2D() if hp.Boolean("average") else keras.layers.Flatten())
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def keras_tuned(
    scored: bool, proxies: str, where: str | None, candidates: int, trained: int, epochs: int, seed: int
) -> tuple[Any, Any]:
    """The predicted classes of the test images by KerasTuner's best model, and the oracle."""
    images, labels = digits(seed)

    def build(hp: Any) -> Any:
        return network(hp, images.shape[1:])

    with tempfile.TemporaryDirectory() as folder:
        shared = {"objective": "val_accuracy", "directory": folder, "seed": seed}
        tuner: Any = (
            ZeroCostTuner(build, proxies, max_trials=candidates, train_top=trained, where=where, batch=BATCH, **shared)
            if scored
            else keras_tuner.RandomSearch(build, max_trials=trained, **shared)
        )
        validation = (images[VALIDATION], labels[VALIDATION])
        tuner.search(images[TRAIN], labels[TRAIN], epochs=epochs, verbose=0, validation_data=validation)
        found = tuner.get_best_models()[0].predict(images[TEST], verbose=0).argmax(1)
        return found, tuner.oracle


def auto_keras(
    scored: bool, proxies: str, where: str | None, candidates: int, trained: int, epochs: int, seed: int
) -> tuple[Any, Any]:
    """The same of AutoKeras, its optimizer held: no score of an untrained model tells of it."""
    images, labels = digits(seed)
    given = autokeras.ImageInput()
    fixed = keras_tuner.HyperParameters()
    fixed.Fixed("optimizer", "adam")
    fixed.Fixed("learning_rate", 1e-3)
    with tempfile.TemporaryDirectory() as folder:
        auto = autokeras.AutoModel(
            given,
            autokeras.ClassificationHead()(autokeras.ConvBlock()(autokeras.Normalization()(given))),
            tuner=filtered(proxies, candidates=candidates, where=where, batch=BATCH) if scored else "random",
            max_trials=trained,
            objective="val_accuracy",
            hyperparameters=fixed,
            directory=folder,
            seed=seed + 1,
        )
        auto.fit(
            images[TRAIN],
            labels[TRAIN],
            epochs=epochs,
            verbose=0,
            validation_data=(images[VALIDATION], labels[VALIDATION]),
            callbacks=[keras.callbacks.EarlyStopping(patience=epochs)],  # or AutoKeras trains the best once more
        )
        return auto.predict(images[TEST], verbose=0).ravel().astype(int), auto.tuner.oracle


TOOLS = {"KerasTuner": keras_tuned, "AutoKeras": auto_keras}


def main(
    tool: Annotated[list[str] | None, typer.Option(help="KerasTuner, AutoKeras or both.")] = None,
    proxies: str = "default",
    where: Annotated[str | None, typer.Option(help="Conditions to train a model, such as 'flops < 2e7'.")] = None,
    candidates: Annotated[int, typer.Option(help="Models to score.")] = 20,
    trained: Annotated[int, typer.Option(help="Models to train.")] = 3,
    epochs: int = 3,
    seeds: int = 3,
) -> None:
    rows = []

    def measure(name: str, way: str, scored: bool, trained: int, seed: int) -> float:
        keras.utils.set_random_seed(seed)
        start = time.perf_counter()
        with ignore_version_warnings():
            found, oracle = TOOLS[name](scored, proxies, where, candidates, trained, epochs, seed)
        seconds = time.perf_counter() - start
        accuracy = float((found == digits(seed)[1][TEST]).mean())
        validation = np.mean([trial.score for trial in oracle.trials.values() if trial.score is not None])
        rows.append((name, way, seed, accuracy, validation, len(oracle.trials), seconds))
        print(name, way, seed, f"test {accuracy:.3f}  trained {rows[-1][5]}  {seconds:.0f} s", flush=True)
        return seconds

    for name in tool or TOOLS:
        for seed in range(seeds):
            best = f"best {trained} of {candidates} by score" + (f", {where}" if where else "")
            ours = measure(name, best, True, trained, seed)
            theirs = measure(name, f"{trained} at random", False, trained, seed)
            measure(name, "at random for as long", False, max(trained, round(trained * ours / theirs)), seed)
    frame = pd.DataFrame(rows, columns=["tool", "way", "seed", "test", "validation", "trained", "seconds"])
    table = Table(
        "tool", "models trained", "test accuracy", "±", "of all trained, validation", "trained", "s", box=None
    )
    for (name, way), some in frame.groupby(["tool", "way"], sort=False):
        means, half = some.mean(numeric_only=True), 1.96 * some["test"].sem()
        shown = [f"{means[column]:.3f}" for column in ("test", "validation")]
        table.add_row(
            name, way, shown[0], f"{half:.3f}", shown[1], f"{means['trained']:.1f}", f"{means['seconds']:.0f}"
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
