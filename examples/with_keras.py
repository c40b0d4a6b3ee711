"""Score a Keras model and rank several, as with torch models."""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")
try:
    import keras
except ImportError:
    sys.exit("this example needs the extra keras: pip install 'zerocost[keras]'")
from functools import partial

from keras import layers
from sklearn.datasets import load_digits

import zerocost as zc

digits = load_digits()
batch = digits.images[:32, ..., None].astype("float32"), digits.target[:32]


def network(width: int, depth: int) -> keras.Model:
    """Convolutions on the digits, channels last; the model also scales the data."""
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Rescaling(1 / 16)])
    for _ in range(depth):
        model.add(layers.Conv2D(width, 3, padding="same", use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10, activation="softmax"))
    return model


card = zc.score(network(8, 2), batch, "snip,synflow,naswot,zen,flops,params")
for proxy, value in card.items():
    print(f"{proxy:<8} {value:>10,.6g}")
print("outputs:", card.provenance["outputs"])

candidates = {f"width={w}, depth={d}": partial(network, w, d) for w in (4, 16) for d in (1, 3)}
print(zc.rank(candidates, batch, batch=32).frame.round(3).to_string())
