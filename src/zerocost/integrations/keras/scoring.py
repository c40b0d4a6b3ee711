"""Scores of a Keras model: here where Keras runs on torch, in a helper process where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from zerocost import scoring
from zerocost.data import Batch
from zerocost.engine.passes.batch import Loss
from zerocost.engine.plan import Plan
from zerocost.errors import Failure
from zerocost.integrations.keras.helper import ask
from zerocost.integrations.keras.library import library
from zerocost.integrations.keras.module import as_module, closing, turns


def evaluate(model: Any, batches: Sequence[Batch], steps: Plan, loss: Loss, seed: int) -> scoring.ScoreCard:
    """Run a plan on a Keras model and compute the proxies of it; where it cannot be run, each fails for that reason.

    Images may be channels last, as the model takes them, or channels first, as torch does.
    """
    keras = library()
    try:
        if keras.backend.backend() != "torch":
            return elsewhere(keras, model, batches, steps, loss, seed)
        module = as_module(model)
    except Failure as reason:
        return scoring.ScoreCard({}, {p.name: str(reason) for p in steps.proxies})
    card = scoring.evaluate(module, channels_first(model, batches), steps, loss, seed)
    card.provenance["keras"] = keras.__version__
    card.provenance["keras_backend"] = "torch"
    card.provenance["outputs"] = "as returned" if closing(model) is None else "logits, before the final softmax"
    return card


def elsewhere(
    keras: Any, model: Any, batches: Sequence[Batch], steps: Plan, loss: Loss, seed: int
) -> scoring.ScoreCard:
    """The scores of a saved copy of the model, on the torch backend in a process of its own."""
    if not model.built:
        raise Failure("the Keras model has no weights yet; call build(), or run it once on a batch, then score it")
    backend = keras.backend.backend()
    with TemporaryDirectory(prefix="zerocost-") as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        modules = sorted({type(layer).__module__ for layer in model._flatten_layers()} - {"__main__"})
        card: scoring.ScoreCard = ask(backend, (str(path), modules, list(batches), steps, loss, seed))
    card.provenance["keras_backend"] = f"torch, in a helper process; the session runs on {backend}"
    return card


def channels_first(model: Any, batches: Sequence[Batch]) -> list[Batch]:
    """The batches with their images channels first, which is how the model's module takes them."""
    if not turns(model):
        return list(batches)
    return [Batch(turned(batch.inputs, input_shapes(model)), batch.targets) for batch in batches]


def turned(inputs: Any, shapes: Sequence[Any]) -> Any:
    """Images channels first: moved, unless they fit the model's input shape only when they are so already.

    >>> import torch
    >>> [turned(torch.zeros(2, *size), [(None, 8, 8, 3)]).shape for size in ((8, 8, 3), (3, 8, 8))]
    [torch.Size([2, 3, 8, 8]), torch.Size([2, 3, 8, 8])]
    """
    images = {id(t): t for t in tree_leaves(inputs) if isinstance(t, Tensor) and t.ndim > 3}
    expected = [shape for shape in shapes if len(shape) > 3]
    known = dict(zip(images, expected, strict=False)) if len(expected) == len(images) else {}

    def move(value: Any) -> Any:
        if id(value) not in images:
            return value
        shape, sizes = known.get(id(value)), tuple(value.shape)
        already = shape is not None and not fits(sizes, shape) and fits((sizes[0], *sizes[2:], sizes[1]), shape)
        return value if already else value.movedim(-1, 1).contiguous()

    return tree_map(move, inputs)


def fits(sizes: Sequence[int], shape: Sequence[int | None]) -> bool:
    """Whether a tensor's sizes are those that a model was built for, where None takes any."""
    return len(sizes) == len(shape) and all(b is None or a == b for a, b in zip(sizes[1:], shape[1:], strict=True))


def input_shapes(model: Any) -> list[Any]:
    """The shapes of a model's inputs, with None for the samples; none where the model does not tell."""
    try:
        return [tuple(given.shape) for given in model.inputs]
    except (AttributeError, TypeError):
        built = model.get_build_config() or {}
        shape = built.get("input_shape")
        return [tuple(shape)] if isinstance(shape, list | tuple) and all(not isinstance(n, list) for n in shape) else []
