"""The model as the passes see it: run on copies of its tensors, so that its own are never part of a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure, describe_error
from zerocost.base.seeding import seeded
from zerocost.base.torch_state import kept_defaults
from zerocost.engine.failures import COMPILED, OneValue, is_out_of_memory
from zerocost.engine.inputs import call, describe_given
from zerocost.engine.model.guard import Snapshot
from zerocost.engine.model.normalisers import find_normalisers
from zerocost.engine.model.one_thread import one_thread
from zerocost.engine.model.shared_memory import memory, order_of_axes, unique_tensors, without_transposes
from zerocost.engine.model.walk import named_modules
from zerocost.engine.modes.reads import has_compiled_functions, seeing_calls
from zerocost.engine.outputs import Output, OutputPicker
from zerocost.engine.timing import TIMING

_NORMALISATION = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


class Network:
    """A model, its parameters and buffers (shared ones once), and which parameters are weight matrices.

    `output` names the tensor to score in what the model returns, as for an `OutputPicker`.
    """

    def __init__(self, model: nn.Module, output: Output = None) -> None:
        self.model = unwrap(model)
        self.pick = OutputPicker(output)
        modules = named_modules(self.model)
        self.modules = list(modules.values())
        self.compiled = [m for m in self.modules if isinstance(m, torch.jit.ScriptModule)]
        self.kinds = {type(m) for m in self.modules}
        self.exported = any(issubclass(kind, torch.fx.GraphModule) for kind in self.kinds)
        self.quantised = any(kind.__module__.startswith("torch.ao.nn.quantized") for kind in self.kinds)
        self.parameters = unique_tensors(modules, "_parameters")
        self.buffers = unique_tensors(modules, "_buffers")
        if any(nn.parameter.is_lazy(p) for p in self.parameters.values()):
            raise Failure("the network has lazy layers without weights yet; run it once on a batch, then score it")
        if any(hasattr(m, "_flat_weights") for m in self.compiled):  # it reads these, for which none can stand in
            raise Failure(COMPILED)
        self.parameters = without_transposes(self.parameters)
        self.valueless = any(p.is_meta for p in self.parameters.values())
        self.scales = {id(p) for m in self.modules if isinstance(m, _NORMALISATION) for p in _own(m)}
        self.embeddings = {id(p) for m in self.modules if isinstance(m, _EMBEDDINGS) for p in _own(m)}
        self.weight_names = [
            name
            for name, p in self.parameters.items()
            if p.ndim >= 2 and (p.is_floating_point() or p.is_complex()) and id(p) not in self.scales
        ]
        self.names = {id(t): name for name, t in self.tensors.items()}
        self.samples: int | None = None  # of the batch, of which a pass may take a part
        self.read: dict[bool, set[str]] = {}  # parameters that a run has read, in train mode (True) and in eval mode

    @cached_property
    def snapshot(self) -> Snapshot:
        """The model's state before its first pass."""
        return Snapshot(self.model, frozenset(self.names))

    @cached_property
    def places(self) -> list[tuple[Any, Any, str]]:
        """Each place where a parameter or buffer is kept, with its name."""
        found = self.snapshot.places
        listed = [(p.holder, p.key, p.tensor) for p in found]
        for module in self.compiled:
            for held in (module._parameters, module._buffers):
                listed += [(held, key, tensor) for key, tensor in list(held.items()) if tensor is not None]
        return [(holder, key, self.names[id(t)]) for holder, key, t in listed if id(t) in self.names]

    @cached_property
    def views(self) -> list[tuple[Any, Any, str, tuple[int, ...] | None]]:
        """Each place where another tensor is kept that begins where a parameter does: that parameter's name, and the
        order of its axes that the tensor is, None for any other view."""
        others = [place for place in self.snapshot.places if id(place.tensor) not in self.names]
        owners = {memory(p): name for name, p in self.parameters.items()} if others else {}
        known = [(p, owners[key]) for p in others if (key := memory(p.tensor)) in owners]
        return [(p.holder, p.key, name, order_of_axes(p.tensor, self.parameters[name])) for p, name in known]

    @cached_property
    def originals(self) -> frozenset[int]:
        """Ids of the model's own tensors, which a pass must not read."""
        return frozenset(self.names).union(id(holder[key]) for holder, key, _, _ in self.views)

    @cached_property
    def normalisers(self) -> dict[nn.Module, int]:
        """Its own modules that normalise, with the axis of their channels."""
        return find_normalisers(self.model)

    @property
    def floating(self) -> list[str]:
        """Names of the floating-point parameters."""
        return [name for name, p in self.parameters.items() if p.is_floating_point()]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers by name."""
        return {**self.parameters, **self.buffers}

    @property
    def device(self) -> torch.device:
        """Where the first parameter (or buffer) lies; the CPU for a model without any."""
        return next((t.device for t in chain(self.parameters.values(), self.buffers.values())), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of most weight matrices but embeddings, else of most parameters; torch's default without any."""
        floating = [p for p in self.parameters.values() if p.is_floating_point()]
        weights = [p for p in floating if p.ndim >= 2 and id(p) not in self.embeddings]
        counts = Counter(p.dtype for p in weights or floating)
        return max(counts, key=counts.__getitem__, default=torch.get_default_dtype())

    @property
    def frozen(self) -> list[str]:
        """Names of the parameters that training would leave as they are."""
        return [name for name, p in self.parameters.items() if p.is_floating_point() and not p.requires_grad]

    @property
    def unused(self) -> list[str] | None:
        """Names of the parameters that no run has read; None before the first run."""
        read = set[str]().union(*self.read.values())
        return [name for name in self.parameters if name not in read] if self.read else None

    def clock(self) -> float:
        """Seconds, once the device has finished what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return TIMING.get().clock()

    @property
    def hides_calls(self) -> bool:
        """Whether calls may be out of sight: a part is compiled by torch.jit, or any function in this process is."""
        return bool(self.compiled) or has_compiled_functions()

    def copies(self, kept: Mapping[str, Tensor] = MappingProxyType({})) -> dict[str, Tensor]:
        """Copies of all parameters and buffers, some of which are `kept` from before."""
        with torch.no_grad():
            return {name: kept[name] if name in kept else t.clone() for name, t in self.tensors.items()}

    def matrices(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """Out of `tensors`, those that stand for the weight matrices; `Failure` when there are no real ones."""
        if not self.weight_names:
            raise Failure("the network has no weight matrices")
        self.check_real()
        return [tensors[name] for name in self.weight_names]

    def check_real(self) -> None:
        """`Failure` where a parameter is complex."""
        if any(p.is_complex() for p in self.parameters.values()):
            raise Failure("the network has complex parameters: what is computed from weights is defined for real ones")

    @contextmanager
    def fresh(self, seed: int, training: bool) -> Iterator[None]:
        """The model in train or eval mode and random numbers from `seed`; on exit everything is as it was."""
        snapshot, modes = self.snapshot, [(m, m.training) for m in self.compiled]
        with seeded(seed, self.device):
            try:
                self.set_mode(training)
                yield
            finally:
                snapshot.put_back()
                for module, mode in modes:
                    module.training = mode
                if modes:
                    tensors = self.tensors
                    for holder, key, name in self.places:
                        holder[key] = tensors[name]

    def set_mode(self, training: bool) -> None:
        """Train or eval mode; `Failure` when the model's own `train` raises."""
        if self.exported:
            for module in self.model.modules():  # an exported part has its mode in its graph, and refuses another
                module.training = training
            return
        if all(k.train is nn.Module.train and k.__setattr__ is nn.Module.__setattr__ for k in self.kinds):
            for module in self.modules:
                vars(module)["training"] = training  # what `train` does, without its cost for each module
            return
        try:
            self.model.train(training)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise Failure(f"the network's train() raised {describe_error(error)}") from error

    def run(self, tensors: Mapping[str, Tensor], inputs: Any) -> Tensor:
        """The network's output when `tensors` stand in for its parameters and buffers; inside `fresh` only.

        Inputs are passed as `call` does. Raises `Failure` with the reason when the network raises or returns no tensor
        to score.
        """
        return self.pick(self.run_whole(tensors, inputs))

    def run_whole(self, tensors: Mapping[str, Tensor], inputs: Any) -> Any:
        """`run`, with everything that the network returns."""
        for holder, key, name in self.places:
            holder[key] = tensors[name]
        for holder, key, name, order in self.views:
            if order is not None:
                holder[key] = tensors[name].permute(order)
        try:
            with kept_defaults(), self._seen(tensors):
                returned = call(self.model, inputs)
                if isinstance(returned, Generator | Coroutine | AsyncGenerator):
                    raise Failure(
                        f"the network returned a {type(returned).__name__}, which has not run; return tensors"
                    )
                return returned
        except (torch.OutOfMemoryError, Failure, KeyboardInterrupt):
            raise
        except BaseException as error:
            if is_out_of_memory(error):
                raise torch.OutOfMemoryError(str(error)) from error
            if str(error).startswith("Expected more than 1 "):
                raise OneValue from error
            given = describe_given(error, inputs, self.samples)
            raise Failure(f"the network raised {describe_error(error)}{given}") from error

    @contextmanager
    def _seen(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """Run in a mode that leaves graphs to the passes; note, by the first run, the parameters that are read."""
        first = self.model.training not in self.read
        with seeing_calls() as reads, one_thread(m for m in self.modules if first and m not in self.compiled):
            yield
        if first:
            self.read[self.model.training] = {name for name in self.parameters if id(tensors[name]) in reads.ids}

    def prepare(self, inputs: Any) -> Any:
        """Inputs on the network's device, floating-point ones in its dtype, all such that autograd can use them."""

        def move(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            moved = value.detach().to(self.device, self.dtype if value.is_floating_point() else None)
            return moved.clone() if moved.is_inference() else moved

        return tree_map(move, inputs)


def unwrap(model: nn.Module) -> nn.Module:
    """The module inside DataParallel and `torch.compile`."""
    while True:
        inner = model.module if isinstance(model, DataParallel | DistributedDataParallel) else None
        inner = inner or getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _own(module: nn.Module) -> list[Tensor]:
    """A module's own parameters, without those of its parts."""
    return [p for p in module._parameters.values() if p is not None]
