"""KerasTuner on the digits: ten models are scored, two are trained."""

import os
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")
try:
    import keras
    import keras_tuner
except ImportError:
    sys.exit("this example needs the extra keras: pip install 'zerocost[keras]'")
import numpy as np
from sklearn.datasets import load_digits

from zerocost.integrations.keras import ZeroCostTuner

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
images, labels = digits.images[order, ..., None].astype("float32") / 16, digits.target[order]
train, validation = slice(0, 1200), slice(1200, None)


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    """A model from hyperparameters, as for KerasTuner's own tuners."""
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for _ in range(hp.Int("depth", 1, 3)):
        model.add(keras.layers.Conv2D(hp.Int("width", 4, 24, step=4), 3, padding="same", activation="relu"))
    model.add(keras.layers.GlobalAveragePooling2D() if hp.Boolean("average") else keras.layers.Flatten())
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


with tempfile.TemporaryDirectory() as folder:
    tuner = ZeroCostTuner(build, max_trials=10, train_top=2, batch=32, directory=folder)
    tuner.search(
        images[train], labels[train], epochs=2, verbose=0, validation_data=(images[validation], labels[validation])
    )
    tuner.results_summary(5)
    print("best:", tuner.get_best_hyperparameters()[0].values)
    loss, accuracy = tuner.get_best_models()[0].evaluate(images[validation], labels[validation], verbose=0)
    print(f"accuracy {accuracy:.1%}")
