"""KerasTuner and AutoKeras on the digits: the best few by score trained, against as many drawn at random.

    python bench/keras_tuners.py [--candidates 20 --trained 3 --epochs 3]

Both ways train the same number of models for the same epochs on the same data, each tool by its own random search and
by ours in front of it. The model of best validation accuracy is measured on test images that neither saw.
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
from zerocost.integrations.tuner import old_ways

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


def keras_tuned(scored: bool, proxies: str, candidates: int, trained: int, epochs: int, seed: int) -> tuple[Any, Any]:
    """The predicted classes of the test images by KerasTuner's best model, and the oracle."""
    images, labels = digits(seed)

    def build(hp: Any) -> Any:
        return network(hp, images.shape[1:])

    with tempfile.TemporaryDirectory() as folder:
        shared = {"objective": "val_accuracy", "directory": folder, "seed": seed}
        tuner: Any = (
            ZeroCostTuner(build, proxies, max_trials=candidates, train_top=trained, **shared)
            if scored
            else keras_tuner.RandomSearch(build, max_trials=trained, **shared)
        )
        validation = (images[VALIDATION], labels[VALIDATION])
        tuner.search(images[TRAIN], labels[TRAIN], epochs=epochs, verbose=0, validation_data=validation)
        found = tuner.get_best_models()[0].predict(images[TEST], verbose=0).argmax(1)
        return found, (tuner.tuner if scored else tuner).oracle


def auto_keras(scored: bool, proxies: str, candidates: int, trained: int, epochs: int, seed: int) -> tuple[Any, Any]:
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
            tuner=filtered(proxies, candidates=candidates) if scored else "random",
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
    proxies: str = "jacob_cov,log_synflow",
    candidates: Annotated[int, typer.Option(help="Models to score.")] = 20,
    trained: Annotated[int, typer.Option(help="Models to train.")] = 3,
    epochs: int = 3,
    seeds: int = 3,
) -> None:
    rows = []
    for name in tool or TOOLS:
        for seed in range(seeds):
            for scored in (True, False):
                start = time.perf_counter()
                with old_ways():
                    found, oracle = TOOLS[name](scored, proxies, candidates, trained, epochs, seed)
                accuracy = float((found == digits(seed)[1][TEST]).mean())
                validation = [trial.score for trial in oracle.trials.values() if trial.score is not None]
                way = f"best {trained} of {candidates} by score" if scored else f"{trained} at random"
                row = (name, way, seed, accuracy, float(np.mean(validation)), time.perf_counter() - start)
                rows.append(row)
                print(
                    *row[:3], f"test {accuracy:.3f}  validation of the trained {row[4]:.3f}  {row[5]:.0f} s", flush=True
                )
    frame = pd.DataFrame(rows, columns=["tool", "way", "seed", "test", "validation", "seconds"])
    table = Table("tool", "trained", "test accuracy, each seed", "mean", "of all trained, validation", "s", box=None)
    for (name, way), some in frame.groupby(["tool", "way"], sort=False):
        each = " ".join(f"{value:.3f}" for value in some["test"])
        means = some[["test", "validation"]].mean()
        table.add_row(
            name, way, each, f"{means['test']:.3f}", f"{means['validation']:.3f}", f"{some['seconds'].mean():.0f}"
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
