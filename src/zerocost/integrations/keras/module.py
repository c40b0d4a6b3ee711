"""A Keras model, on the torch backend, as the torch module that the engine takes.

The module is a tree like that of the model's layers. A layer that torch has too is a torch module with the same weights
in torch's layout; any other runs its own code on copies of its variables. Images and maps are channels first wherever a
module begins or ends. The model's own variables are read once and never written.
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
from zerocost.engine.calls.functions import function_name, prepare_data
from zerocost.integrations.keras.layers import ELEMENTWISE_OPERATIONS, is_preprocessing, torch_layer
from zerocost.integrations.keras.layout import (
    OUTPUTS_FIRST,
    SAME,
    CopiedWeight,
    call_channels_first,
    copy_weights,
    is_map,
    mark_map,
    to_channels_first,
    to_channels_last,
)
from zerocost.integrations.keras.library import import_keras
from zerocost.tasks import classification, multilabel, regression

_SAME_VALUES = {"reshape", "view", "flatten", "squeeze", "unsqueeze", "movedim", "permute", "transpose", "to", "clone"}
"""Functions that keep all values, so that a softmax before them still ends the model."""


class OwnCode(nn.Module):
    """A layer that runs its own code: a model, a layer of layers, or one that torch does not have.

    Where `turned`, it takes and returns tensors of four axes or more with channels first, others as they are.
    """

    def __init__(self, run: Callable[..., Any], turned: bool) -> None:
        super().__init__()
        self.run = run
        self.turned = turned

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = (
            (_move_channels(given, to_channels_last) for given in (args, kwargs)) if self.turned else (args, kwargs)
        )
        found = self.run(*args, **kwargs)
        return _move_channels(found, to_channels_first) if self.turned else found


def _move_channels(values: Any, way: Callable[[Tensor], Tensor]) -> Any:
    """Move the channels of images and maps among nested tensors."""
    return tree_map(lambda value: way(value) if isinstance(value, Tensor) and value.ndim > 3 else value, values)


def as_module(model: Any, task: str = classification.name) -> nn.Module:
    """A Keras model as a torch module that computes the same from copies of its weights.

    It takes images channels first, N×C×H×W, where the model takes them last, and lists parameters and layers as the
    same network written in torch does. A softmax that ends the model, or the sigmoid of a single unit, is left out,
    of the task multilabel also that of several: outputs are logits, as the loss expects. That of regression takes them
    as they are. In train mode it runs as with `training=True`, and batch statistics go to its own buffers; as in Keras,
    a frozen BatchNormalization (`trainable = False`) runs on its moving statistics even then. Computes in the dtype of
    the weights: a model of a mixed precision policy in float32. Sequences N×T×C come channels first, N×C×T, to
    convolutions and what follows them, and as they are to other layers.

    Raises:
        Failure: layers of the model have no weights yet.

    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3)])  # doctest: +SKIP
    >>> as_module(model)(torch.zeros(2, 1, 8, 8)).shape  # doctest: +SKIP
    torch.Size([2, 4, 6, 6])
    """
    if not model.built:
        raise Failure("the Keras model has no weights yet; call build(), or run it once on a batch, then score it")
    name = next(unbuilt_layers(model), None)
    if name is not None:
        raise Failure(
            f"the layer {name} of the Keras model has no weights yet; run the model once on a batch, then score it, "
            "and drop the layer if the model never calls it"
        )
    return Translation(model, takes_channels_last(model), task).module


def takes_channels_last(model: Any) -> bool:
    """Whether the model takes images channels last."""
    return all(getattr(layer, "data_format", None) != "channels_first" for layer in model._flatten_layers())


class Translation:
    """The translation of a model: how its layers are called while the module runs, and the copies of its variables.

    Attributes:
        module: the whole model.
        closing: the name of the softmax or sigmoid at the end of the model that its passes left out.
    """

    def __init__(self, model: Any, turned: bool, task: str) -> None:
        self.turned = turned
        self.calls: list[tuple[Any, Callable[..., Any]]] = []
        self.weights: list[CopiedWeight] = []
        self.seen: set[int] = set()
        self.model = model
        self.task = task
        self.closing: str | None = None
        self.policies = [
            (layer, import_keras().DTypePolicy(layer.variable_dtype))
            for layer in model._flatten_layers()
            if layer.compute_dtype != layer.variable_dtype and not layer.quantization_mode
        ]
        self.module = self.make_part(model, self.run)

    def make_part(self, layer: Any, run: Callable[..., Any]) -> OwnCode:
        """A module for a layer that runs its own code, with the modules of the layers in it."""
        part = OwnCode(run, self.turned)
        trainable = {id(v) for v in layer._trainable_variables}  # also those frozen since
        for place, variable in enumerate(_own_variables(layer)):
            name = _unused_name(part, variable.name if variable.name else f"variable_{place}")
            if id(variable) not in trainable:
                part.register_buffer(name, None)
            kernel = "kernel" in variable.name and len(variable.shape) > 1
            self.weights += copy_weights(part, **{name: (variable, OUTPUTS_FIRST if kernel else SAME)})
        for inner in _sublayers(layer):
            self.add_layer(part, inner)
        for operation in getattr(layer, "operations", ()):
            if type(operation).__name__ in ELEMENTWISE_OPERATIONS and id(operation) not in self.seen:
                self.seen.add(id(operation))
                if self.turned:
                    self.calls.append((operation, call_channels_first(operation.call, turned=True, least=4)))
        return part

    def add_layer(self, parent: nn.Module, layer: Any) -> None:
        """Add the modules of a layer to that of the layer around it, once, where the layer is first found."""
        if id(layer) in self.seen:
            return
        self.seen.add(id(layer))
        found = torch_layer(layer, self.turned)
        if found is not None:
            for suffix, module in found.modules.items():
                name = f"{layer.name}_{suffix}" if suffix else layer.name
                parent.add_module(_unused_name(parent, name), module)
            self.weights += found.weights
            self.calls.append((layer, found.call))
        elif is_preprocessing(layer) or _own_variables(layer) or list(_sublayers(layer)):
            part = self.make_part(
                layer, partial(_prepare_in_one_call, layer.call) if is_preprocessing(layer) else layer.call
            )
            parent.add_module(_unused_name(parent, layer.name), part)
            self.calls.append((layer, self.keras_call(part)))

    def keras_call(self, part: OwnCode) -> Callable[..., Any]:
        """A function that calls a part on Keras's axes."""
        if not self.turned:
            return part
        return lambda *args, **kwargs: _move_channels(
            part(*_move_channels(args, to_channels_first), **_move_channels(kwargs, to_channels_first)),
            to_channels_last,
        )

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model on its own axes, with its layers called as modules and its variables read from them."""
        keras = import_keras()
        given = args[0] if len(args) == 1 and not kwargs else list(args) if args else kwargs
        device = next((weight.value.device for weight in self.weights), torch.device("cpu"))
        scope = keras.StatelessScope()
        for weight in self.weights:
            scope.state_mapping[id(weight.variable)] = weight.value
        policies, calls = _replace_attributes("_dtype_policy", self.policies), _replace_attributes("call", self.calls)
        with keras.device(str(device)), scope, policies, calls, TensorNotes(self.task):
            found = self.model(given, training=self.module.training)
        return tree_map(self.without_closing, found)

    def without_closing(self, output: Any) -> Any:
        """An output without the softmax or sigmoid at its end."""
        if not hasattr(output, "closing"):
            return output
        self.closing, before = output.closing
        return before()


def _prepare_in_one_call(way: Callable[..., Tensor], values: Tensor, **others: Any) -> Tensor:
    """Run a preprocessing layer as a single call."""
    return prepare_data(values, partial(way, **others))


@contextmanager
def _replace_attributes(name: str, values: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """Set an attribute of layers and operations inside the block."""
    before = [(vars(layer), vars(layer).get(name)) for layer, _ in values]
    for layer, value in values:
        vars(layer)[name] = value
    try:
        yield
    finally:
        for attributes, value in reversed(before):
            attributes.pop(name) if value is None else attributes.update({name: value})


def _sublayers(layer: Any) -> Iterator[Any]:
    """The layers directly in one, in their order."""
    yield from getattr(layer, "layers", None) or layer._layers


def _own_variables(layer: Any) -> list[Any]:
    """A layer's floating-point variables, without those of the layers in it."""
    found = [*layer._trainable_variables, *layer._non_trainable_variables]
    return [v for v in found if "float" in v.dtype]


def _unused_name(module: nn.Module, name: str) -> str:
    """A name like this one that a module does not have yet."""
    name = name.replace(".", "_")
    while hasattr(module, name):
        name += "_"
    return name


def final_activation(module: nn.Module) -> str | None:
    """The name of the softmax or sigmoid at the end of a model that its module left out when it ran."""
    translation = getattr(getattr(module, "run", None), "__self__", None)
    return translation.closing if isinstance(translation, Translation) else None


def unbuilt_layers(model: Any) -> Iterator[str]:
    """The names of layers that have weights but were not built."""
    usual = import_keras().layers.Layer.build
    for layer in model._flatten_layers():
        if not layer.built and type(layer).build is not usual and ".merging." not in type(layer).__module__:
            yield layer.name


class TensorNotes(TorchFunctionMode):
    """Marks tensors for later: which are maps, and what a closing activation was computed from."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task

    def __torch_function__(
        self, function: Callable[..., Any], _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found, name = function(*args, **(kwargs or {})), function_name(function)
        if name in ("add", "cat") and all(
            map(is_map, (value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)))
        ):
            mark_map(found)
        if not args or found is args[0]:
            return found
        if self.task != regression.name and _turns_logits(name, found, self.task == multilabel.name):
            vars(found)["closing"] = name.removeprefix("special_"), lambda: args[0]
        elif name in _SAME_VALUES and hasattr(args[0], "closing"):
            name, before = args[0].closing
            vars(found)["closing"] = name, lambda: function(before(), *args[1:], **(kwargs or {}))
        return found


def _turns_logits(name: str, found: Tensor, labels: bool) -> bool:
    """Whether a function of this name, which returned this tensor, makes probabilities of classes or labels."""
    if name == "sigmoid":
        return labels or found.ndim == 1 or found.shape[-1] == 1
    return name in ("softmax", "special_softmax")
