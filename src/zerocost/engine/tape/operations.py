"""The operations of one forward pass in the order in which they run, with what each reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import ATTENTION, RECURRENT, Function
from zerocost.engine.meta.operators import QuickOperators, without_compiler
from zerocost.engine.meta.shapes import quick_result, recurrent_result
from zerocost.engine.model.network import Network
from zerocost.engine.model.on_meta import on_meta
from zerocost.engine.model.walk import named_modules
from zerocost.engine.modes.call_mode import CallMode, without_checks

_WHOLE = {ATTENTION, *RECURRENT}
"""Functions that are one operation, whatever torch makes of them on a device."""


class Size(NamedTuple):
    """How much memory something takes, at any precision.

    Attributes:
        floats: floating-point numbers; a complex number is two.
        other: bytes of everything else, such as integers.
    """

    floats: int
    other: int

    def at(self, width: int) -> int:
        """Bytes, where a floating-point number takes `width`.

        >>> Size(10, 3).at(4)
        43
        """
        return self.floats * width + self.other

    def plus(self, more: Size) -> Size:
        """Both together."""
        return Size(self.floats + more.floats, self.other + more.other)

    def less(self, part: Size) -> Size:
        """What is left without a part."""
        return Size(self.floats - part.floats, self.other - part.other)


NOTHING = Size(0, 0)


def size_of(tensor: Tensor) -> Size:
    """The memory of the storage behind a tensor.

    >>> size_of(torch.zeros(2, 3)[0])
    Size(floats=6, other=0)
    """
    held = tensor.untyped_storage().nbytes()
    if tensor.is_floating_point() or tensor.is_complex():
        return Size(held // tensor.element_size() * (1 + tensor.is_complex()), 0)
    return Size(0, held)


def storage_key(tensor: Tensor) -> StorageWeakRef:
    """What is equal for views of one storage, and for no others, also after it is gone."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


class Value(NamedTuple):
    """A tensor: a view of a storage."""

    storage: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    is_complex: bool = False


@dataclass(frozen=True)
class Operation:
    """One operation that is no view.

    Attributes:
        name: that of the torch operator, or of the function that is taken as one.
        pointwise: whether each number that it writes depends on the numbers at the same place alone.
        reads: its tensors.
        writes: what it returns, views of what it reads left out.
        module: the name of the innermost module that runs it; empty for the network itself.
    """

    name: str
    pointwise: bool
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    module: str


@dataclass
class Tape:
    """What one forward pass did.

    Attributes:
        operations: in the order in which they ran; views are none.
        sizes: how much memory each storage takes.
        constants: the names of the storages that were there before and are no inputs: parameters, buffers, and tensors
            that the network keeps otherwise, which have no name.
        inputs: the storages of the network's inputs.
        outputs: those of everything that it returned.
    """

    operations: list[Operation] = field(default_factory=list)
    sizes: dict[int, Size] = field(default_factory=dict)
    constants: dict[int, str] = field(default_factory=dict)
    inputs: set[int] = field(default_factory=set)
    outputs: set[int] = field(default_factory=set)


def record(network: Network, sample: Any, seed: int) -> Tape:
    """The tape of a forward pass in eval mode `on_meta`; `Failure` when the network does not run at all."""
    return on_meta(network, sample, partial(_record, network, seed))


def _record(network: Network, seed: int, tensors: Mapping[str, Tensor], sample: Any) -> Tape:
    recorder = _Recorder()
    recorder.tape.inputs = {recorder.value(t).storage for t in _tensors(sample)}
    recorder.tape.constants = {recorder.value(t).storage: name for name, t in tensors.items()}
    whole = _WholeCalls(recorder)
    with ExitStack() as stack:
        stack.enter_context(network.fresh(seed, training=False))
        recorder.follow(network)
        for context in (QuickOperators(), recorder, whole):
            stack.enter_context(context)
        returned = network.run_whole(tensors, sample)
    recorder.tape.outputs = {recorder.value(t).storage for t in _tensors(returned)}
    return recorder.tape


@without_compiler
class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down each operator that is dispatched."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = Tape()
        self.within = False
        self._known: dict[StorageWeakRef, int] = {}
        self._running = [""]

    def follow(self, network: Network) -> None:
        """Know which module runs, by hooks that go when the network is put back as it was."""
        for name, module in named_modules(network.model).items():
            if module not in network.compiled:
                module.register_forward_pre_hook(partial(self._enter, name))
                module.register_forward_hook(self._leave, always_call=True)

    def _enter(self, name: str, *_: Any) -> None:
        self._running.append(name)

    def _leave(self, *_: Any) -> None:
        self._running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.within:
            return func(*args, **kwargs)
        reads = self.values((args, kwargs))
        result = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        self.add(name, torch.Tag.pointwise in func.tags or name in _ALSO_POINTWISE, reads, result, func)
        return result

    def whole(self, name: str, call: Callable[[], Any], arguments: Any) -> Any:
        """Run a function as one operation."""
        reads = self.values(arguments)
        self.within = True
        try:
            result = call()
        finally:
            self.within = False
        self.add(name, False, reads, result)
        return result

    def add(self, name: str, pointwise: bool, reads: tuple[Value, ...], result: Any, func: Any = None) -> None:
        """Add an operation, if it is not only a view; what is empty is not written."""
        behind = {value.storage for value in reads}
        made = self.values(result, made=True)
        writes = tuple(v for v in made if v.storage not in behind and self.tape.sizes[v.storage] != NOTHING)
        if writes or (func is not None and func._schema.is_mutable):
            self.tape.operations.append(Operation(name, pointwise, reads, writes, self._running[-1]))

    def values(self, nest: Any, made: bool = False) -> tuple[Value, ...]:
        """The tensors in a nest; one whose storage is met for the first time is a constant unless it was `made`."""
        found = []
        for tensor in _tensors(nest):
            before = len(self._known)
            value = self.value(tensor)
            found.append(value)
            if len(self._known) > before and not made:
                self.tape.constants[value.storage] = ""
        return tuple(found)

    def value(self, tensor: Tensor) -> Value:
        """A tensor as it stands on the tape."""
        key = self._known.setdefault(storage_key(tensor), len(self._known))
        if key not in self.tape.sizes:
            self.tape.sizes[key] = size_of(tensor)
        return Value(key, tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()), tensor.is_complex())


class _WholeCalls(CallMode):
    """Hands functions that are one operation to the recorder as such."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in _WHOLE and not self.recorder.within:
            return self.recorder.whole(name, partial(_run_whole, Call(function, name, args, kwargs)), (args, kwargs))
        return _OF_ONE_VALUE.get(function, function)(*args, **kwargs)


def _run_whole(call: Call) -> Any:
    found: Any = recurrent_result(call) or quick_result(call)
    return call.function(*call.args, **call.kwargs) if found is None else found


_OF_ONE_VALUE: dict[Function, Function] = {
    function: without_checks(function, "_verify_batch_size", "_verify_spatial_size")
    for function in (F.batch_norm, F.instance_norm, F.group_norm)
}
"""Normalisation that torch refuses for one value a channel, which takes as much memory as that of more."""
_ALSO_POINTWISE = {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"} | {
    *("cudnn_batch_norm", "batch_norm_with_update", "hardswish", "hardsigmoid", "native_dropout", "masked_fill"),
}
"""Operators that torch does not tag as pointwise though in eval mode they are."""


def _tensors(nest: Any) -> list[Tensor]:
    """The tensors in a nest, a sparse or nested one by the dense ones that it is made of."""
    return [part for leaf in _leaves(nest) if isinstance(leaf, Tensor) for part in _dense_parts(leaf)]


def _leaves(nest: Any) -> Iterator[Any]:
    """`tree_leaves`, without its cost for what operators are given."""
    if isinstance(nest, Tensor | int | float | None):
        yield nest
    elif type(nest) in (tuple, list):
        for part in nest:
            yield from _leaves(part)
    elif type(nest) is dict:
        yield from _leaves([*nest.values()])
    else:
        yield from tree_leaves(nest)


def _dense_parts(tensor: Any) -> list[Tensor]:
    if tensor.is_nested:
        return [tensor.values(), tensor.offsets()] if tensor.layout == torch.jagged else [tensor.values()]
    if tensor.layout == torch.strided:
        return [tensor]
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return []
