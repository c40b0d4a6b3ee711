"""The place of a batch's samples in a tensor: an axis, or a part of one."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from zerocost.engine.calls.functions import COPIES, GATHERS, Function

_PRIME = 10_007
"""As many samples as no network has of anything else, for calls on the meta device."""


class SamplePlace(NamedTuple):
    """Where the samples are: along `axis`, whose length is `before` · samples · `after`.

    `before` is above 1 where they are merged into an axis behind something else, as in (T·N)×E, and `after` where
    something is merged behind them, as in (N·windows)×….
    """

    axis: int
    before: int = 1
    after: int = 1

    def rows(self, values: Tensor) -> Tensor:
        """`values`, which have the samples here, with the sample axis in front.

        >>> import torch
        >>> SamplePlace(1).rows(torch.zeros(5, 2, 3)).shape, SamplePlace(0, after=4).rows(torch.zeros(8, 3)).shape
        (torch.Size([2, 5, 3]), torch.Size([2, 4, 3]))
        """
        front = values.movedim(self.axis, 0) if self.axis else values
        merged = self.before * self.after
        if merged == 1:
            return front
        samples = len(front) // merged
        parts = front.reshape(self.before, samples, self.after, *front.shape[1:])
        return parts.movedim(1, 0).reshape(samples, merged, *front.shape[1:])


FIRST = SamplePlace(0)


class NoPlace(NamedTuple):
    """No axis of the tensor is the samples'.

    Attributes:
        reason: why not, where rows of samples are in the tensor; None where it holds no rows of them.
        sample: which one it is computed from, where that is one alone.
        part: the first sample that it is computed from and the one behind the last, where they are a part in order.
    """

    reason: str | None = None
    sample: int | None = None
    part: tuple[int, int] | None = None


CONSTANT = NoPlace()
"""No sample reaches the tensor."""
REDUCED = NoPlace()
"""Samples reach it, but only as a sum or mean over them."""
REARRANGED = NoPlace("its axes were rearranged in place, after which it cannot be told which is the samples'")
GATHERED = NoPlace(
    "its rows were picked one by one, as experts pick their tokens, so that it cannot be told which sample each is of"
)
PACKED = NoPlace(
    "it is of a packed sequence, whose later steps have rows of fewer samples; run the layer on the padded sequence"
)
UNCLEAR = NoPlace("it cannot be told which of its axes is the samples'; try another batch size")
SPLIT = NoPlace("the samples of the batch were split into groups, along several of its axes")
"""Of this tensor alone: what is computed from it may have them together again."""
_PART = NoPlace("it has a part of the samples, as of a chunk or slice; let the network run on all of them at once")
_ALONE = "it is of one sample alone, as in a loop over the batch"


def pick_samples(
    function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], place: SamplePlace, samples: int
) -> list[SamplePlace | NoPlace | None]:
    """The places in the results of a call that picks rows of its first argument; none where that cannot be told.

    >>> import torch
    >>> [p.sample for p in pick_samples(torch.unbind, (torch.zeros(2, 3),), {}, SamplePlace(0), 2)]
    [0, 1]
    """
    sizes = [place.before * samples * place.after if i == place.axis else 1 for i in range(args[0].ndim)]
    numbers = torch.arange(samples).repeat_interleave(place.after).repeat(place.before).view(sizes)
    try:
        found = tree_leaves(function(numbers.to(args[0].device).expand(args[0].shape), *args[1:], **kwargs))
    except Exception:  # noqa: BLE001  an index that cannot be taken of whole numbers
        return []
    return [_place_of(picked, samples) for picked in found]


def _place_of(picked: Tensor, samples: int) -> SamplePlace | NoPlace:
    """The place in what a call picked, whose elements are the numbers of their samples."""
    if picked.numel() and picked.min() == picked.max():
        return NoPlace(_ALONE, int(picked.min()))
    for axis, length in enumerate(picked.shape if picked.numel() else ()):
        lines = picked.movedim(axis, 0).reshape(length, -1)
        order = lines[:, 0]
        after = int((order == 0).int().cumprod(0).sum())
        before, rest = divmod(length, samples * after) if after else (0, 1)
        numbers = torch.arange(samples, device=picked.device).repeat_interleave(after).repeat(before)
        if not rest and bool((lines == numbers[:, None]).all()):
            return SamplePlace(axis, before, after)
        if bool((lines == order[:1, None] + torch.arange(length, device=picked.device)[:, None]).all()):
            return _PART._replace(part=(int(order[0]), int(order[-1]) + 1))
    return GATHERED if picked._base is None else _PART  # a chunk or slice is a view


def probe_of(tensor: Tensor, place: SamplePlace | NoPlace | None) -> Tensor:
    """A tensor on the meta device with another number of samples."""
    sizes = list(tensor.shape)
    if isinstance(place, SamplePlace):
        sizes[place.axis] = place.before * _PRIME * place.after
    return torch.empty(sizes, dtype=tensor.dtype, device="meta")


def place_of_probe(shape: Sequence[int], place: SamplePlace, name: str) -> SamplePlace | NoPlace:
    """The place of the samples in what a call named so made of a probe, one with samples at `place`, by its shape."""
    axes = [axis for axis, length in enumerate(shape) if length and length % _PRIME == 0]
    if len(axes) != 1:
        return GATHERED if name in GATHERS or axes else REDUCED
    copies, rest = divmod(shape[axes[0]] // _PRIME, place.before * place.after)
    if rest or copies < 1 or (copies > 1 and name in GATHERS):
        return GATHERED
    if name in COPIES:
        return SamplePlace(axes[0], place.before * copies, place.after)
    return SamplePlace(axes[0], place.before, place.after * copies)


def together(places: Sequence[SamplePlace | NoPlace | None]) -> NoPlace:
    """What is computed from several tensors of which none has all samples, some of them picked rows."""
    if any(isinstance(place, SamplePlace) for place in places):
        return GATHERED
    found = {place for place in places if isinstance(place, NoPlace) and place.reason}
    if len(found) == 1:
        return found.pop()
    return _PART if {place.reason for place in found} == {_PART.reason} else GATHERED


def without_samples(
    tensors: Sequence[Tensor],
    places: Sequence[SamplePlace | NoPlace | None],
    results: Sequence[Tensor],
    ordered: bool = True,
) -> list[SamplePlace | NoPlace | None]:
    """The places in what is computed from tensors of which none has the samples in rows that can be told apart.

    `ordered` is whether the call leaves rows in their order.
    """
    if None in places:
        return [None] * len(results)
    found = next((place for place in places if place is not CONSTANT), CONSTANT)
    if found is SPLIT:
        shape = tensors[places.index(SPLIT)].shape
        return [SPLIT if result.shape == shape else None for result in results]
    lost = any(isinstance(place, NoPlace) and place.reason for place in places)
    place = together(places) if lost else found
    part = place.part if isinstance(place, NoPlace) else None
    if part is None:
        return [place] * len(results)
    return [place if ordered and _axis_of(part, result) is not None else _PART for result in results]


def _axis_of(part: tuple[int, int], tensor: Tensor) -> int | None:
    """The axis along which a tensor has a part of the samples; None if its shape does not tell."""
    found = [axis for axis, length in enumerate(tensor.shape) if length == part[1] - part[0]]
    return found[0] if len(found) == 1 else None


def gathered_in_order(
    tensors: Sequence[Tensor], places: Sequence[SamplePlace | NoPlace | None], name: str, axis: int, samples: int
) -> SamplePlace | None:
    """Where the samples are once tensors of one or some of them each are joined, if that is all in their order."""
    if name != "stack":
        axis %= tensors[0].ndim
    stop, lengths = 0, set()
    for tensor, place in zip(tensors, places, strict=True):
        if not isinstance(place, NoPlace):
            return None
        alone = place.sample is not None
        start, end = (place.sample, place.sample + 1) if place.sample is not None else place.part or (-1, -1)
        if start != stop or (not alone and (name == "stack" or _axis_of((start, end), tensor) != axis)):
            return None
        stop = end
        lengths.add(1 if name == "stack" else tensor.shape[axis] // (end - start))
    if stop != samples or len(lengths) > 1:
        return None
    return SamplePlace(axis % (tensors[0].ndim + 1)) if name == "stack" else SamplePlace(axis, after=lengths.pop())


def stayed(place: SamplePlace, old: Sequence[int], new: Sequence[int]) -> SamplePlace | None:
    """Where the samples are in a result that has them along the same axis, or behind new ones; None if in neither.

    >>> [stayed(SamplePlace(0), (4, 3), new) for new in ((4, 9), (2, 4, 3), (3, 5))]
    [SamplePlace(axis=0, before=1, after=1), SamplePlace(axis=1, before=1, after=1), None]
    """
    axis = place.axis + len(new) - len(old)
    return place._replace(axis=axis) if place.axis <= axis and new[axis] == old[place.axis] else None


def joined(place: SamplePlace, name: str, axis: int, ndim: int, copies: int = 0) -> SamplePlace | NoPlace:
    """Where the samples are once tensors are joined along an axis, which is a new one for "stack".

    `copies` is how many tensors there are, where all of them have all samples in the same place.

    >>> joined(SamplePlace(0), "cat", 1, 3), joined(SamplePlace(0), "stack", 0, 3)
    (SamplePlace(axis=0, before=1, after=1), SamplePlace(axis=1, before=1, after=1))
    """
    new = name == "stack"
    axis %= ndim + new
    if axis == place.axis and not new:
        return place._replace(before=place.before * copies) if copies else GATHERED
    return place._replace(axis=place.axis + (new and axis <= place.axis))


def reshaped(place: SamplePlace, old: Sequence[int], new: Sequence[int], samples: int) -> SamplePlace | None:
    """Where the samples are once a tensor's elements, in the same order, have another shape; None if torn apart.

    >>> reshaped(SamplePlace(1), (5, 2, 3), (10, 3), 2), reshaped(SamplePlace(0, before=5), (10, 3), (5, 2, 3), 2)
    (SamplePlace(axis=0, before=5, after=1), SamplePlace(axis=1, before=1, after=1))
    """
    start, passed = prod(old[: place.axis]) * place.before, 1
    for axis, length in enumerate(new):
        if passed <= start < passed * length or (passed == start and length == samples):
            before, rest = divmod(start, passed)
            after, torn = divmod(length, before * samples) if before else (0, 1)
            return None if rest or torn or not after else SamplePlace(axis, before, after)
        passed *= length
    return None


def unless_unclear(
    places: Sequence[SamplePlace | NoPlace | None],
    given: Sequence[SamplePlace | NoPlace | None],
    results: Sequence[Tensor],
    samples: int,
) -> list[SamplePlace | NoPlace | None]:
    """`places`, with `UNCLEAR` where the shape would have to tell, and does not, where the samples went."""
    moved = next((place.axis > 0 for place in given if isinstance(place, SamplePlace)), False)
    return [
        UNCLEAR if place is None and moved and list(result.shape).count(samples) > 1 else place
        for place, result in zip(places, results, strict=True)
    ]


def by_shape(shape: tuple[int, ...], samples: int) -> SamplePlace | NoPlace:
    """Where the samples must be in a tensor of unknown history: first, else along the one axis that is long enough.

    >>> by_shape((4, 3, 8), 4), by_shape((8, 3), 4)
    (SamplePlace(axis=0, before=1, after=1), SamplePlace(axis=0, before=1, after=2))
    >>> by_shape((3, 4, 8), 4)
    SamplePlace(axis=1, before=1, after=1)
    """
    if samples == 1 or shape[:1] == (samples,):
        return FIRST
    equal = [axis for axis, length in enumerate(shape) if length == samples]
    if len(equal) == 1:
        return SamplePlace(equal[0])
    if not equal and shape and shape[0] and shape[0] % samples == 0:
        return SamplePlace(0, after=shape[0] // samples)
    if equal:
        return NoPlace(f"several of its axes are as long as the batch, {samples}; try another batch size")
    return NoPlace(f"it has no axis for the {samples} samples of the batch")


def given_axis(args: tuple[Any, ...], kwargs: dict[str, Any], default: int) -> int:
    """The axis that a call is told, as its second argument or by name."""
    found = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis", default))
    return found if isinstance(found, int) else default


def reordered_axes(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], ndim: int) -> set[int]:
    """The axes along which a call changes the order."""
    if name in ("flip", "roll"):
        rest = args[1:] if name == "flip" else args[2:]
        dims = kwargs.get("dims", rest[0] if len(rest) == 1 else rest)
        listed = dims if isinstance(dims, tuple | list) else (dims,)
        return {axis % ndim for axis in listed} or set(range(ndim))
    if name == "msort":
        return {0}
    rest = args[1:] if name == "topk" else args
    return {given_axis(rest, kwargs, -1) % ndim}
