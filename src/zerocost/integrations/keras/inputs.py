"""The inputs of a Keras model: building its weights on a sample, checking a batch, moving the channels of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from zerocost.base.errors import Failure, describe_error
from zerocost.base.seeding import seeded
from zerocost.data import Batch
from zerocost.engine.inputs import take_samples
from zerocost.engine.run import neutral_modes
from zerocost.integrations.keras.module import takes_channels_last, unbuilt_layers

_Shape = tuple[int | None, ...]


def build_weights(keras: Any, model: Any, inputs: Any, seed: int) -> bool:
    """Create missing weights of a model by running it once on one sample, as Keras's `fit` does.

    Returns:
        Whether any were missing.

    Raises:
        Failure: it cannot be run.
    """
    if model.built and not any(unbuilt_layers(model)):
        return False
    before = len(model.weights)
    try:
        sample = _as_keras(model, take_samples(inputs, 0, 1))
        with neutral_modes(torch.device("cpu")), torch.no_grad(), seeded(seed):
            if isinstance(model, keras.Sequential) and hasattr(sample, "shape"):
                model.build((None, *sample.shape[1:]))
            model(sample, training=False)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Failure(
            f"the Keras model has no weights yet, and making them on one sample raised {describe_error(error)}"
        ) from error
    return len(model.weights) > before


def _as_keras(model: Any, inputs: Any) -> Any:
    """Inputs as numpy arrays, as Keras takes them: channels last unless the model says otherwise, several in a list."""
    last = takes_channels_last(model)

    def array(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        moves = last and value.ndim > 3 and _has_channels_first(value.shape, None)
        return (value.movedim(1, -1) if moves else value).numpy(force=True)

    arrays = tree_map(array, inputs)
    if isinstance(arrays, tuple | list):
        return arrays[0] if len(arrays) == 1 else list(arrays)
    return arrays


def check_inputs(model: Any, inputs: Any) -> None:
    """`Failure` for inputs of other sizes than the model's; Keras itself may run them all the same."""
    last = takes_channels_last(model)
    for name, value, shape in _inputs_with_shapes(model, inputs):
        sizes = tuple(value.shape)
        images = last and value.ndim > 3
        ways = [
            sizes,
            (*sizes, 1),
            *([sizes[:-1]] if sizes[-1] == 1 else []),
            *([_move_channels_last(sizes)] if images else []),
        ]
        if any(_fits(way, shape) for way in ways):  # Keras adds and drops a last axis of one
            continue
        got = _move_channels_last(sizes) if images and _has_channels_first(sizes, shape) else sizes
        one = f"input {name!r}" if name else "inputs"
        raise Failure(
            f"the model takes {one} of {_describe_shape(shape)}, got {_describe_shape(got)}"
            f"{_channel_advice(got, shape) if images else ''}"
        )


def _channel_advice(got: Sequence[int], shape: _Shape) -> str:
    """The way out if images have one channel and the model takes three, or the reverse."""
    if _fits((*got[:-1], shape[-1] or 0), shape) and {got[-1], shape[-1]} == {1, 3}:
        channels = "1 channel" if shape[-1] == 1 else "3 channels"
        return f"; give images of {channels}, or a model that begins with keras.Input({_describe_shape(got)})"
    return ""


def _describe_shape(shape: Sequence[int | None]) -> str:
    """The shape of one sample, as text."""
    return str(tuple(shape[1:]))


def _inputs_with_shapes(model: Any, inputs: Any) -> Iterator[tuple[str, Tensor, _Shape]]:
    """Tensors of the inputs with the model's shapes for them, and their names if there are several.

    Nothing for a model that does not know its input shapes.
    """
    shapes = _input_shapes(model)
    if not shapes:
        return
    if isinstance(inputs, Mapping):
        pairs = [(name, inputs[name]) for name in shapes if name in inputs]
    else:
        leaves = tree_leaves(inputs)
        if len(leaves) != len(shapes):
            several = f"{len(shapes)} inputs ({', '.join(shapes)})" if len(shapes) > 1 else "1 input"
            raise Failure(f"the model takes {several}, got {len(leaves)}")
        pairs = list(zip(shapes, leaves, strict=True))
    for name, value in pairs:
        if isinstance(value, Tensor):
            yield name if len(shapes) > 1 else "", value, shapes[name]


def _input_shapes(model: Any) -> dict[str, _Shape]:
    """The shapes of a model's inputs by name, with None for the samples; empty if the model does not know them."""
    try:
        given = model.inputs
    except AttributeError:
        return {}
    named = getattr(model, "_inputs_struct", None)
    if isinstance(named, Mapping):
        return {name: tuple(named[name].shape) for name in sorted(named)}
    return {one.name: tuple(one.shape) for one in given or ()}


def _built_shape(model: Any) -> _Shape | None:
    """The shape of the input that a model with a single one was built for; others may fit as well."""
    shape = (model.get_build_config() or {}).get("input_shape") or ()
    return tuple(shape) if shape and all(size is None or isinstance(size, int) for size in shape) else None


def batches_channels_first(model: Any, batches: Sequence[Batch]) -> list[Batch]:
    """The batches with images channels first, as the model's module takes them."""
    if not takes_channels_last(model):
        return list(batches)
    return [Batch(_images_channels_first(model, batch.inputs), batch.targets) for batch in batches]


def _images_channels_first(model: Any, inputs: Any) -> Any:
    """Images with channels first, moved unless they are so already."""
    known, usual = {id(value): shape for _, value, shape in _inputs_with_shapes(model, inputs)}, _built_shape(model)

    def move(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.ndim < 4:
            return value
        if _has_channels_first(value.shape, known.get(id(value), usual)):
            return value
        return value.movedim(-1, 1).contiguous()

    return tree_map(move, inputs)


def _has_channels_first(sizes: Sequence[int], shape: _Shape | None) -> bool:
    """Whether images are channels first: the model's shape says so, or else a second axis of 1 or 3, and no such last.

    >>> [_has_channels_first(sizes, (None, 8, 8, 4)) for sizes in ((2, 8, 8, 4), (2, 4, 8, 8))]
    [False, True]
    >>> [_has_channels_first(sizes, None) for sizes in ((2, 8, 8, 3), (2, 3, 8, 8))]
    [False, True]
    """
    if shape is not None and _fits(sizes, shape) != _fits(_move_channels_last(sizes), shape):
        return not _fits(sizes, shape)
    return sizes[1] in (1, 3) and sizes[-1] not in (1, 3)


def _move_channels_last(sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes with the second axis, the channels of images, moved to the end."""
    return (*sizes[:1], *sizes[2:], *sizes[1:2])


def _fits(sizes: Sequence[int], shape: _Shape) -> bool:
    """Whether a tensor's sizes are those that a model was built for, where None takes any."""
    return len(sizes) == len(shape) and all(b is None or a == b for a, b in zip(sizes[1:], shape[1:], strict=True))
