"""A Keras model, on the torch backend, as the torch module that the engine takes.

The module is a tree like that of the model's layers. A layer that torch has too is a torch module with the same weights
in torch's layout; any other runs its own code, on whatever tensors stand for its variables. Images and maps are
channels first wherever a module begins or ends. The model's own variables are read once and never written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from zerocost.base.errors import Failure
from zerocost.engine.functions import function_name, prepare_data
from zerocost.integrations.keras.layers import (
    ELEMENTWISE_OPERATIONS,
    OUTPUTS_FIRST,
    SAME,
    Held,
    as_map,
    between,
    first,
    holding,
    is_map,
    last,
    prepares,
    twin,
)
from zerocost.integrations.keras.library import library

SAME_VALUES = {"reshape", "view", "flatten", "squeeze", "unsqueeze", "movedim", "permute", "transpose", "to", "clone"}
"""Functions after which a softmax still is the end of a model."""


class Part(nn.Module):
    """A layer that runs its own code: a model, a layer of layers, or one that torch does not have.

    Takes and returns tensors of four axes or more channels first where `turned`, others as they are.
    """

    def __init__(self, run: Callable[..., Any], turned: bool) -> None:
        super().__init__()
        self.run = run
        self.turned = turned

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = (turn(given, last) for given in (args, kwargs)) if self.turned else (args, kwargs)
        found = self.run(*args, **kwargs)
        return turn(found, first) if self.turned else found


def turn(values: Any, way: Callable[[Tensor], Tensor]) -> Any:
    """Nested tensors with the channels of images and maps moved."""
    return tree_map(lambda value: way(value) if isinstance(value, Tensor) and value.ndim > 3 else value, values)


def as_module(model: Any) -> nn.Module:
    """A Keras model as a torch module that computes the same from copies of its weights.

    It takes images channels first, N×C×H×W, where the model takes them last, and lists parameters and layers as the
    same network written in torch does. A softmax that ends the model, or the sigmoid of a single unit, is left out:
    outputs are logits, as the loss expects. In train mode it runs as with `training=True`, and batch statistics go to
    its own buffers; as in Keras, a frozen BatchNormalization (`trainable = False`) runs on its moving statistics even
    then. Computes in the dtype of the weights: a model of a mixed precision policy in float32. Sequences N×T×C come
    channels first, N×C×T, to convolutions and what follows them, and as they are to other layers.

    Raises `Failure` for a model whose layers have no weights yet.

    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3)])  # doctest: +SKIP
    >>> as_module(model)(torch.zeros(2, 1, 8, 8)).shape  # doctest: +SKIP
    torch.Size([2, 4, 6, 6])
    """
    if not model.built:
        raise Failure("the Keras model has no weights yet; call build(), or run it once on a batch, then score it")
    name = next(unbuilt(model), None)
    if name is not None:
        raise Failure(
            f"the layer {name} of the Keras model has no weights yet; run the model once on a batch, then score it, "
            "and drop the layer if the model never calls it"
        )
    return Translation(model, turns(model)).module


def turns(model: Any) -> bool:
    """Whether the model takes images channels last."""
    return all(getattr(layer, "data_format", None) != "channels_first" for layer in model._flatten_layers())


class Translation:
    """How the layers of a model are called while its module runs, and which tensors stand for its variables.

    Attributes:
        module: the whole model.
        ending: the softmax or sigmoid at the end of the model that its runs left out, by name.
    """

    def __init__(self, model: Any, turned: bool) -> None:
        self.turned = turned
        self.calls: list[tuple[Any, Callable[..., Any]]] = []
        self.held: list[Held] = []
        self.seen: set[int] = set()
        self.model = model
        self.ending: str | None = None
        self.policies = [
            (layer, library().DTypePolicy(layer.variable_dtype))
            for layer in model._flatten_layers()
            if layer.compute_dtype != layer.variable_dtype and not layer.quantization_mode
        ]
        self.module = self.part(model, self.run)

    def part(self, layer: Any, run: Callable[..., Any]) -> Part:
        """A module for a layer that runs its own code, with those of the layers in it."""
        part = Part(run, self.turned)
        made = {id(v) for v in layer._trainable_variables}  # to be trained, whether frozen since or not
        for place, variable in enumerate(own_variables(layer)):
            name = free(part, variable.name if variable.name else f"variable_{place}")
            if id(variable) not in made:
                part.register_buffer(name, None)
            kernel = "kernel" in variable.name and len(variable.shape) > 1
            self.held += holding(part, **{name: (variable, OUTPUTS_FIRST if kernel else SAME)})
        for inner in sublayers(layer):
            self.add(part, inner)
        for operation in getattr(layer, "operations", ()):
            if type(operation).__name__ in ELEMENTWISE_OPERATIONS and id(operation) not in self.seen:
                self.seen.add(id(operation))
                if self.turned:
                    self.calls.append((operation, between(operation.call, turned=True, least=4)))
        return part

    def add(self, parent: nn.Module, layer: Any) -> None:
        """Put what stands for a layer into the module of the one it is in, at the first place where it is met."""
        if id(layer) in self.seen:
            return
        self.seen.add(id(layer))
        found = twin(layer, self.turned)
        if found is not None:
            for suffix, module in found.modules.items():
                name = f"{layer.name}_{suffix}" if suffix else layer.name
                parent.add_module(free(parent, name), module)
            self.held += found.held
            self.calls.append((layer, found.call))
        elif prepares(layer) or own_variables(layer) or list(sublayers(layer)):
            part = self.part(layer, partial(preparing, layer.call) if prepares(layer) else layer.call)
            parent.add_module(free(parent, layer.name), part)
            self.calls.append((layer, self.inner(part)))

    def inner(self, part: Part) -> Callable[..., Any]:
        """How Keras calls a part: with its own axes."""
        if not self.turned:
            return part
        return lambda *args, **kwargs: turn(part(*turn(args, first), **turn(kwargs, first)), last)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The model on its own axes, its layers called as modules and its variables read from them."""
        keras = library()
        given = args[0] if len(args) == 1 and not kwargs else list(args) if args else kwargs
        device = next((held.value.device for held in self.held), torch.device("cpu"))
        scope = keras.StatelessScope()
        for held in self.held:
            scope.state_mapping[id(held.variable)] = held.value
        policies, calls = replaced("_dtype_policy", self.policies), replaced("call", self.calls)
        with keras.device(str(device)), scope, policies, calls, Notes():
            found = self.model(given, training=self.module.training)
        return tree_map(self.logits, found)

    def logits(self, output: Any) -> Any:
        """An output without the softmax, or sigmoid of one unit, that it ends in."""
        if not hasattr(output, "made"):
            return output
        self.ending, before = output.made
        return before()


def preparing(way: Callable[..., Tensor], values: Tensor, **others: Any) -> Tensor:
    """What a layer that prepares data makes of them, as one call."""
    return prepare_data(values, partial(way, **others))


@contextmanager
def replaced(name: str, values: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """An attribute of layers and operations as given, inside the block."""
    before = [(vars(layer), vars(layer).get(name)) for layer, _ in values]
    for layer, value in values:
        vars(layer)[name] = value
    try:
        yield
    finally:
        for held, value in reversed(before):
            held.pop(name) if value is None else held.update({name: value})


def sublayers(layer: Any) -> Iterator[Any]:
    """The layers directly in one, in their order."""
    yield from getattr(layer, "layers", None) or layer._layers


def own_variables(layer: Any) -> list[Any]:
    """A layer's floating-point variables, without those of the layers in it."""
    found = [*layer._trainable_variables, *layer._non_trainable_variables]
    return [v for v in found if "float" in v.dtype]


def free(module: nn.Module, name: str) -> str:
    """A name that a module does not have yet."""
    name = name.replace(".", "_")
    while hasattr(module, name):
        name += "_"
    return name


def closing(module: nn.Module) -> str | None:
    """The softmax or sigmoid at its end that the module of a model left out when it ran, by name."""
    translation = getattr(getattr(module, "run", None), "__self__", None)
    return translation.ending if isinstance(translation, Translation) else None


def unbuilt(model: Any) -> Iterator[str]:
    """The names of layers that make weights when they are built, and were not."""
    usual = library().layers.Layer.build
    for layer in model._flatten_layers():
        if not layer.built and type(layer).build is not usual and ".merging." not in type(layer).__module__:
            yield layer.name


class Notes(TorchFunctionMode):
    """Writes on tensors what is asked of them later: which are maps, and what a closing activation was made of."""

    def __torch_function__(
        self, function: Callable[..., Any], _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found, name = function(*args, **(kwargs or {})), function_name(function)
        if name in ("add", "cat") and all(
            map(is_map, (value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)))
        ):
            as_map(found)
        if not args or found is args[0]:
            return found
        if name in ("softmax", "special_softmax") or (name == "sigmoid" and (found.ndim == 1 or found.shape[-1] == 1)):
            vars(found)["made"] = name.removeprefix("special_"), lambda: args[0]
        elif name in SAME_VALUES and hasattr(args[0], "made"):
            ending, before = args[0].made
            vars(found)["made"] = ending, lambda: function(before(), *args[1:], **(kwargs or {}))
        return found
