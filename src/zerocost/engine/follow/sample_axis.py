"""Where the samples of a batch are in each tensor: followed from the inputs through every call of a network.

A tensor that no sample reaches (a standardised weight, position embeddings, a table of relative positions) is constant,
whatever its shape. In any other the samples have a place that moves with the calls: transposed, merged into windows or
with tokens, split again. The axis of the channels is kept along with it, by calls that leave the axes as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import (
    COPIES,
    CREATES,
    ELEMENTWISE,
    GATHERS,
    MOVES,
    RECURRENT,
    RESHAPES,
    SUMS,
    Function,
    is_in_place,
)
from zerocost.engine.follow.places import (
    CONSTANT,
    FIRST,
    GATHERED,
    PACKED,
    REARRANGED,
    SPLIT,
    UNCLEAR,
    NoPlace,
    SamplePlace,
    by_shape,
    gathered_in_order,
    given_axis,
    joined,
    pick_samples,
    place_of_probe,
    probe_of,
    reordered_axes,
    reshaped,
    stayed,
    together,
    unless_unclear,
    without_samples,
)
from zerocost.engine.meta.shapes import result_on_meta

_MAY_MOVE = MOVES | {
    *("matmul", "rmatmul", "mm", "bmm", "mv", "dot", "addmm", "addbmm", "baddbmm", "tensordot", "einsum"),
    *("getitem", "select", "narrow", "chunk", "split", "tensor_split", "unbind"),
    *("index_select", "gather", "take_along_dim", "repeat_interleave", "embedding"),
}
"""Functions after which the samples may be along another axis; shapes on the meta device tell which."""
_JOINS = {"cat", "concat", "concatenate", "stack"}
_JOINED_ALONG = {"vstack": 0, "row_stack": 0, "hstack": 1, "column_stack": 1, "dstack": 2}
_SCATTERS = {"setitem", "index_add", "index_put", "index_copy", "scatter", "scatter_add", "masked_scatter"}
"""Functions that write rows into a tensor, where only its shape tells the samples' place."""
_ORDERS = {"sort", "argsort", "msort", "topk", "flip", "roll"}
"""Functions that change the order along an axis."""
_MIXES = {"as_strided", "rot90", "cov", "corrcoef", "kron"}
"""Functions after which the samples may be along any axis."""
_LAYOUT = RESHAPES | _MAY_MOVE
_REORDERS = GATHERS | _SCATTERS | _ORDERS | _MIXES
_SPECIAL = _LAYOUT | _JOINS | _JOINED_ALONG.keys() | RECURRENT | _SCATTERS | COPIES | _ORDERS | _MIXES | CREATES


class SampleAxis:
    """The places of the samples in the tensors that a network makes of a batch.

    >>> import torch
    >>> x = torch.zeros(4, 3, 8)
    >>> known = SampleAxis(4, x)
    >>> y = x.transpose(0, 1)
    >>> known.follow(torch.transpose, "transpose", (x, 0, 1), {}, y)
    >>> known.place(y)
    SamplePlace(axis=1, before=1, after=1)
    """

    def __init__(self, samples: int, inputs: Any, constants: Any = ()) -> None:
        self.samples = samples
        self._lost = False
        for tensor in _tensors((constants,)):
            self._note(tensor, CONSTANT)
        for tensor in _tensors((inputs,)):
            self._note(tensor, FIRST if tuple(tensor.shape[:1]) == (samples,) else CONSTANT)

    def _note(self, tensor: Tensor, place: SamplePlace | NoPlace | None, given: Sequence[Tensor] = ()) -> None:
        axis = self.channels(tensor)
        for one in given:
            if axis is None and one.ndim == tensor.ndim:
                axis = self.channels(one)
        tensor._samples_at = (self, place, axis)  # type: ignore[attr-defined]

    def note_channels(self, tensor: Tensor, axis: int | None) -> None:
        """Note the axis of the channels in a tensor, or that it is not known."""
        tensor._samples_at = (self, self._known(tensor), axis)  # type: ignore[attr-defined]

    def channels(self, tensor: Tensor) -> int | None:
        """The axis of the channels in a tensor; None where it is not known."""
        owner, _, axis = getattr(tensor, "_samples_at", (None, None, None))
        return axis if owner is self else None

    def _known(self, tensor: Tensor) -> SamplePlace | NoPlace | None:
        """What was noted on a tensor; None for one of unknown history."""
        owner, place, _ = getattr(tensor, "_samples_at", (None, None, None))
        return place if owner is self else None

    def place(self, tensor: Tensor) -> SamplePlace | NoPlace:
        """Where the samples are in a tensor; by its shape alone where its history is not known."""
        return self._known(tensor) or by_shape(tuple(tensor.shape), self.samples)

    def rows(self, tensor: Tensor, values: Tensor | None = None) -> Tensor | None:
        """A tensor (or `values`, of the same shape) with the sample axis in front, N×…; None for one without samples.

        Raises `Failure` where samples are in it, but not in rows that can be told apart.
        """
        return self.read(self.place(tensor), tensor if values is None else values)

    def read(self, place: SamplePlace | NoPlace, values: Tensor) -> Tensor | None:
        """`rows` of values that have the samples at `place`."""
        if isinstance(place, SamplePlace):
            rows = values[None] if self._hides_sample(place, values) else place.rows(values)
            return rows if rows.ndim > 1 else rows[:, None]
        if place.reason is None:
            return None
        raise Failure(f"an activation of shape {tuple(values.shape)} cannot be read by sample: {place.reason}")

    def read_map(self, place: SamplePlace | NoPlace, channels: int, values: Tensor) -> Tensor | None:
        """Values with the samples at `place` and channels along an axis as N×C×…; None for those without samples."""
        rows = self.read(place, values)
        if rows is None or rows.ndim < 3:
            return rows
        assert isinstance(place, SamplePlace)
        axis = -1 if self._hides_sample(place, values) else place.axis
        channels %= values.ndim
        second = 1 if channels == axis else channels + (channels < axis) + rows.ndim - values.ndim
        return rows if second == 1 else rows.movedim(second, 1)

    def _hides_sample(self, place: SamplePlace, values: Tensor) -> bool:
        """Whether a tensor of the one sample that there is has no axis for it alone."""
        return self.samples == 1 and (place.before * place.after, *values.shape[place.axis : place.axis + 1]) != (1, 1)

    def reaches(self, tensor: Tensor) -> bool:
        """Whether rows of samples are in a tensor, whether or not they can be told apart."""
        place = self.place(tensor)
        return isinstance(place, SamplePlace) or place.reason is not None

    def follow(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Note the places in what a call returned, or wrote into its first argument."""
        if name == "get":  # a property, such as Tensor.T
            name = function.__self__.__name__  # type: ignore[attr-defined]
        if name not in _SPECIAL and not self._lost and self._stays(name, args, kwargs, result):
            return
        if name == "setitem":
            self._written(args)
            return
        results = _tensors((result,))
        if not results:
            return
        given, in_place = [] if name in CREATES else _tensors((args, kwargs)), is_in_place(function, kwargs)
        known = [self._known(tensor) for tensor in given]
        lost = any(isinstance(place, NoPlace) and place.reason and place is not SPLIT for place in known)
        source = next(
            (tensor for tensor, place in zip(given, known, strict=True) if isinstance(place, SamplePlace)), None
        )
        places: list[SamplePlace | NoPlace | None]
        if source is None and lost and name in _JOINS:
            axis = given_axis(args, kwargs, 0)
            places = [gathered_in_order(given, known, name, axis, self.samples) or together(known)]
        elif source is None:
            places = without_samples(given, known, results, ordered=name not in _REORDERS)
        elif name in _SCATTERS and not isinstance(known[0], SamplePlace):
            places = [None] * len(results)
        elif lost and name not in SUMS:  # what is added to rows in order is in order again
            places = [together(known)] * len(results)
        elif in_place and name in _LAYOUT:
            places = [REARRANGED] * len(results)
        else:
            places = self._moved(function, name, args, kwargs, source, results)
        packs = name == "pack_padded_sequence"
        places = [PACKED] * len(results) if packs else unless_unclear(places, known, results, self.samples)
        for tensor, place in zip(results, places, strict=True):
            self._note(tensor, place, given)
            self._lost |= isinstance(place, NoPlace) and place.reason is not None and place is not SPLIT
        base = getattr(args[0], "_base", None) if args and in_place else None
        if base is not None and self._known(base) is CONSTANT and places[0] is not CONSTANT:
            self._note(base, None)  # samples were written into a part of it

    def _stays(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> bool:
        """Note, for one result, that samples stay where they are in the first argument that has them, if they can.

        Most calls are of this kind, so that it has to be quick.
        """
        if not isinstance(result, Tensor) or (args and result is args[0]):
            return isinstance(result, Tensor) and not _tensors((args[1:], kwargs))
        for value in args:
            noted = getattr(value, "_samples_at", None)
            if noted is not None and noted[0] is self and isinstance(noted[1], SamplePlace):
                axis = noted[1].axis
                leads = value is args[0] or name in ELEMENTWISE
                if leads and result.ndim == value.ndim and result.shape[axis] == value.shape[axis]:
                    result._samples_at = noted  # type: ignore[attr-defined]
                    return True
                return False
        return False

    def _written(self, args: tuple[Any, ...]) -> None:
        """Note that samples were written into a part of a tensor that had none."""
        target, index, value = args
        if not isinstance(value, Tensor) or self._known(value) is CONSTANT or self._known(target) is not CONSTANT:
            return
        place, fits = self._known(value), []
        if isinstance(place, SamplePlace):
            with suppress(Exception):  # an index that the meta device cannot take: the shape has to tell
                for axis, length in enumerate(target.shape):
                    if length == value.shape[place.axis]:
                        taken = probe_of(target, SamplePlace(axis, place.before, place.after))[index]
                        fits += [axis] if taken.shape == probe_of(value, place).shape else []
        self._note(
            target, SamplePlace(fits[0], *place[1:]) if isinstance(place, SamplePlace) and len(fits) == 1 else None
        )

    def _moved(
        self,
        function: Function,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        source: Tensor,
        results: list[Tensor],
    ) -> list[SamplePlace | NoPlace | None]:
        """The places in the results of a call that is given `source`, a tensor with samples."""
        place, shape = self._known(source), source.shape
        assert isinstance(place, SamplePlace)
        if name in RESHAPES:
            return [reshaped(place, shape, tensor.shape, self.samples) or SPLIT for tensor in results]
        if name in _JOINS or name in _JOINED_ALONG:
            along = min(_JOINED_ALONG[name], source.ndim - 1) if name in _JOINED_ALONG else given_axis(args, kwargs, 0)
            places = [self._known(tensor) for tensor in _tensors(args[:1])]
            copies = len(places) if all(other == place for other in places) else 0
            return [joined(place, name, along, source.ndim, copies)]
        unclear = UNCLEAR if name in _MIXES else None
        if name in _ORDERS and place.axis in reordered_axes(name, args, kwargs, source.ndim):
            unclear = GATHERED
        if unclear or name == "one_hot":
            return [unclear or place] * len(results)
        if name in RECURRENT:
            states: list[SamplePlace | NoPlace | None] = [place._replace(axis=1)] * (len(results) - 1)
            return [stayed(place, shape, results[0].shape), *states]
        likely: list[SamplePlace | NoPlace | None] = [GATHERED if name in GATHERS else None] * len(results)
        if name not in _MAY_MOVE and name not in COPIES:
            likely = [stayed(place, shape, tensor.shape) for tensor in results]
            leads = source is _tensors((args, kwargs))[0] or name in ELEMENTWISE
            if leads and all(one == place for one in likely):
                return likely
        found = self._on_meta(function, name, args, kwargs)
        found = found if found is not None and len(found) == len(results) else likely
        picks = GATHERED in found and name in GATHERS and bool(args) and source is args[0]
        picked = pick_samples(function, args, kwargs, place, self.samples) if picks else []
        return picked or found

    def _on_meta(
        self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[SamplePlace | NoPlace | None] | None:
        """The places in the results of a call, by its shapes on the meta device with another number of samples."""

        def probe(value: Any) -> Any:
            return probe_of(value, self._known(value)) if isinstance(value, Tensor) else value

        places = [p for t in _tensors((args, kwargs)) if isinstance(p := self._known(t), SamplePlace)]
        try:
            made = _tensors((result_on_meta(Call(function, name, tree_map(probe, args), tree_map(probe, kwargs))),))
        except Exception:  # noqa: BLE001  shapes on the meta device are a hint; without it the shape has to tell
            return None
        return [place_of_probe(tensor.shape, places[0], name) for tensor in made]


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    """The tensors in lists, tuples and dictionaries, nested."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
        elif isinstance(value, dict):
            found += _tensors(value.values())
    return found
