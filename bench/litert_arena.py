"""The arena that LiteRT plans for networks of Keras, to set beside the peak that `bench/peak_memory.py` shows.

    pip install tensorflow ai-edge-litert
    python bench/litert_arena.py

Each network is converted for a batch of one and run by LiteRT's own kernels. Its arena reaches from the first to the
last byte of what its operations write and of its input, which LiteRT keeps to the end. Beside it: the most that is
alive at once without the input, where no operation writes in place.
"""

from __future__ import annotations

import os

os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

NETWORKS = ("MobileNet", "MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121")
SIDE = 224


def converted(network: keras.Model, int8: bool) -> bytes:
    """The network as LiteRT runs it, with float32 or int8 everywhere."""
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [np.random.default_rng(seed).random((1, SIDE, SIDE, 3), dtype=np.float32)] for seed in range(2)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def arena(model: bytes) -> tuple[int, int, int]:
    """Bytes of the arena, of the input in it, and the most that is alive at once without the input."""
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    [given] = (int(one["index"]) for one in interpreter.get_input_details())
    steps = [[set(map(int, one[side])) for side in ("inputs", "outputs")] for one in interpreter._get_ops_details()]
    written = set().union(*(made for _, made in steps))
    held = {index: interpreter.tensor(index)() for index in written | {given}}
    starts = {index: values.__array_interface__["data"][0] for index, values in held.items()}
    end = max(starts[index] + values.nbytes for index, values in held.items())
    last = {index: place for place, (read, made) in enumerate(steps) for index in read | made}
    alive, most = set[int](), 0
    for place, (_, made) in enumerate(steps):
        alive |= made
        most = max(most, sum(held[index].nbytes for index in alive))
        alive = {index for index in alive if last[index] > place}
    return end - min(starts.values()), held[given].nbytes, most


def main() -> None:
    """Print the arenas."""
    for name in NETWORKS:
        image = keras.Input(batch_shape=(1, SIDE, SIDE, 3))
        network = getattr(keras.applications, name)(weights=None, input_tensor=image)
        for kind in ("float32", "int8"):
            whole, given, most = arena(converted(network, kind == "int8"))
            print(f"{name:<16}{kind:<9}arena {whole:,} B, without the input {whole - given:,} B; alive {most:,} B")


if __name__ == "__main__":
    main()
