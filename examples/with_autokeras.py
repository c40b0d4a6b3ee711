"""AutoKeras on the digits: six candidates are scored, two are trained."""

import os
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")
try:
    import autokeras
    import keras_tuner
except ImportError:
    sys.exit("this example needs the extra keras: pip install 'zerocost[keras]'")
import numpy as np
from sklearn.datasets import load_digits

from zerocost.integrations.keras import filtered

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
images, labels = digits.images[order, ..., None].astype("float32"), digits.target[order]
train, validation = slice(0, 1200), slice(1200, None)

inputs = autokeras.ImageInput()
outputs = autokeras.ClassificationHead()(
    autokeras.ConvBlock(kernel_size=3, num_blocks=1, num_layers=1)(autokeras.Normalization()(inputs))
)
fixed = keras_tuner.HyperParameters()  # the score of an untrained model says nothing about the best way to train it
fixed.Fixed("optimizer", "adam")
fixed.Fixed("learning_rate", 1e-3)

with tempfile.TemporaryDirectory() as folder:
    auto = autokeras.AutoModel(
        inputs,
        outputs,
        tuner=filtered(candidates=6, batch=32),
        max_trials=2,
        objective="val_accuracy",
        hyperparameters=fixed,
        directory=folder,
        seed=1,
    )
    auto.fit(
        images[train], labels[train], epochs=2, verbose=0, validation_data=(images[validation], labels[validation])
    )
    results = auto.tuner.results
    print(results.to_string())
    print(f"accuracy {results['val_accuracy'].max():.1%}")
