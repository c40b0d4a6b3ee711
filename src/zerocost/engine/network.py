"""The model as the passes see it: run on copies of its tensors, so that its own are never part of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from zerocost.errors import Failure

NORMALISATION = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


class Network:
    """A model, its parameters (tied ones once), and which of them are weight matrices."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.parameters = dict(model.named_parameters())
        self.buffers = dict(model.named_buffers())
        if any(isinstance(t, nn.parameter.UninitializedTensorMixin) for t in self.parameters.values()):
            raise Failure("the network has lazy layers without weights yet; run it once on a batch, then score it")
        scales = {id(p) for m in model.modules() if isinstance(m, NORMALISATION) for p in m.parameters(recurse=False)}
        self.weight_names = [n for n, p in self.parameters.items() if p.ndim >= 2 and id(p) not in scales]

    @property
    def device(self) -> torch.device:
        """Where the first parameter (or buffer) lies; the CPU for a model without any."""
        return next((t.device for t in (*self.parameters.values(), *self.buffers.values())), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the first floating-point parameter; torch's default for a model without any."""
        floating = (t.dtype for t in self.parameters.values() if t.is_floating_point())
        return next(floating, torch.get_default_dtype())

    def weights(self) -> list[Tensor]:
        """The weight matrices, detached; `Failure` when there are none."""
        return [w.detach() for w in self.differentiable({n: p.detach() for n, p in self.parameters.items()})]

    def copies(self, differentiable: bool = False) -> dict[str, Tensor]:
        """Copies of all parameters and buffers; if asked, the weight matrices among them take a gradient."""
        copies = {name: t.detach().clone() for name, t in {**self.parameters, **self.buffers}.items()}
        if differentiable:
            self.differentiable(copies)
        return copies

    def differentiable(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """Out of `tensors`, those that stand for the weight matrices, taking a gradient; `Failure` when none do."""
        if not self.weight_names:
            raise Failure("the network has no weight matrices")
        return [tensors[name].requires_grad_() for name in self.weight_names]

    def run(self, tensors: Mapping[str, Tensor], inputs: Any) -> Tensor:
        """The network's output when `tensors` stand in for its parameters and buffers.

        A tuple or list of inputs is passed as positional arguments and a mapping as keyword arguments. Raises
        `Failure` with the reason when the network raises or returns something other than a tensor.
        """
        arguments, keywords = inputs if isinstance(inputs, tuple | list) else (inputs,), {}
        if isinstance(inputs, Mapping):
            arguments, keywords = (), dict(inputs)
        try:
            outputs = functional_call(self.model, dict(tensors), tuple(arguments), keywords)
        except (torch.OutOfMemoryError, Failure):
            raise
        except Exception as error:
            if out_of_memory(error):
                raise torch.OutOfMemoryError(str(error)) from error
            raise Failure(f"the network raised {type(error).__name__}: {first_line(error)}") from error
        return logits(outputs)

    def prepare(self, inputs: Any) -> Any:
        """Inputs on the network's device, floating-point ones in its dtype."""

        def move(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return value.to(self.device, self.dtype if value.is_floating_point() else None)

        return tree_map(move, inputs)


def logits(outputs: Any) -> Tensor:
    """The tensor to score in what a network returned: itself, or the entry `logits` of a mapping or named result."""
    if isinstance(outputs, Tensor):
        return outputs
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(found, Tensor):
        return found
    raise Failure(
        f"the network returned a {type(outputs).__name__}, expected a tensor (or a result with `logits`); "
        "wrap it in a module that returns the tensor to score"
    )


def out_of_memory(error: Exception) -> bool:
    """Whether torch could not get memory: its own error class, or the CPU allocator's RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip() or "(no message)").splitlines()[0]
