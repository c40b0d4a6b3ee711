"""The batch that a network is scored on: drawing one from a seed, and checking one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, IterableDataset, default_collate

from zerocost.base.errors import InputError
from zerocost.base.seeding import check_seed, seeded
from zerocost.base.torch_state import neutral_torch
from zerocost.data.balance import balanced_indices
from zerocost.data.collated import collate, source_of
from zerocost.data.dataset import length, load
from zerocost.data.room import check_room
from zerocost.data.targets import TARGET_KEYS
from zerocost.data.tensors import check_finite, describe_values, is_integer

_USUAL = 64
_MANY = 100
"""So many batches are looked at before they are drawn, and so many times each sample may be drawn."""


class Batch(NamedTuple):
    """Inputs of a network and their targets.

    Attributes:
        inputs: a tensor, or a structure of tensors, with N samples each.
        targets: N targets, if any.

    >>> Batch(torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])).targets
    tensor([0, 1, 2, 3])
    """

    inputs: Any
    targets: Tensor | None = None


@neutral_torch()
def draw(data: Any, size: int = 64, *, seed: int = 0, balanced: bool = False) -> Batch:
    """Draw `size` samples without replacement. The same seed gives the same batch; global generators are left alone.

    A sample that is a pair is (input, target), and a mapping may hold its target as `labels`, `label`, `targets`,
    `target` or `y`; any other sample is all input, and the batch has no targets.

    Args:
        data: anything that `load` accepts. Of a DataLoader its dataset and its `collate_fn` are used, not its order. A
            dataset that can only be iterated gives its first `size` samples.
        size: number of samples.
        seed: of the draw.
        balanced: take the same number of samples of each class, give or take one. Labels come from the dataset's
            `.targets`; without them, and under a `collate_fn`, samples are read in random order until each class that
            was found has enough and 1,000 samples in a row brought no new class.

    Raises:
        InputError: fewer than `size` samples, a batch larger than the machine's memory, samples that do not fit into
            one batch, a balanced batch without labels or without enough samples of a class, and whatever `load` and
            `validate` refuse.

    >>> images, labels = torch.rand(20, 3, 8, 8), torch.arange(20) % 2
    >>> batch = draw((images, labels), size=4, seed=1, balanced=True)
    >>> batch.inputs.shape, batch.targets.sum().item()
    (torch.Size([4, 3, 8, 8]), 2)
    """
    batch = separate_targets(draw_whole(data, size, seed=seed, balanced=balanced))
    validate(batch)
    return batch


@neutral_torch()
def draw_whole(data: Any, size: int = 64, *, seed: int = 0, balanced: bool = False) -> Batch:
    """`draw` without its check of the batch, in which a mapping keeps the targets that it holds."""
    if size < 1:
        raise InputError(f"a batch holds at least one sample, got size={size}")
    source, collate_fn = data, default_collate
    if isinstance(data, DataLoader):
        if data.batch_sampler is None:
            raise InputError(
                "a DataLoader with batch_size=None does not say what one sample is; take a batch from it and give that"
            )
        source, collate_fn = data.dataset, data.collate_fn
    check_seed(seed)
    with seeded(seed):  # random augmentations follow the seed too
        if isinstance(source, IterableDataset):
            samples = _first_samples(source, size, balanced)
        else:
            dataset = load(data)
            source, collate_fn = source_of(dataset)
            samples = []
            for index in _draw_indices(dataset, size, seed, balanced):
                samples.append(source[index])
                if len(samples) == 1:
                    check_room(size * _bytes_in(samples[0]), f"a batch of {size}")
        return collate_batch(samples, collate_fn)


def separate_targets(batch: Batch) -> Batch:
    """A batch whose inputs are a mapping that holds the targets too, as pair; any other batch as it is.

    >>> separate_targets(Batch({"x": torch.ones(1, 2), "y": torch.tensor([3])}))
    Batch(inputs=tensor([[1., 1.]]), targets=tensor([3]))
    """
    if batch.targets is not None or not isinstance(batch.inputs, Mapping):
        return batch
    key = next((key for key in TARGET_KEYS if isinstance(batch.inputs.get(key), Tensor)), None)
    inputs = {name: value for name, value in batch.inputs.items() if name != key}
    if key is None or not inputs:
        return batch
    return Batch(next(iter(inputs.values())) if len(inputs) == 1 else inputs, batch.inputs[key])


def check_batches(data: Any, size: int, count: int) -> None:
    """Check that many batches can be drawn of data that are not read from front to back.

    Raises:
        InputError: batches that would take each sample more than a hundred times, or the machine more memory than it
            has.

    >>> check_batches(torch.zeros(6, 2), 4, 1_000_000)
    Traceback (most recent call last):
    zerocost.base.errors.InputError: 1,000,000 batches of 4 take 4,000,000 samples, but the data has 6; ask for ...
    """
    source = data.dataset if isinstance(data, DataLoader) else data
    if count <= _MANY or isinstance(source, IterableDataset):
        return
    dataset = load(source)
    there = length(dataset)
    if count * size > _MANY * there:
        raise InputError(
            f"{count:,} batches of {size} take {count * size:,} samples, but the data has {there:,}; ask for fewer "
            "batches"
        )
    with seeded(0):
        check_room(count * size * _bytes_in(dataset[0]), f"drawing {count:,} batches of {size}")


def usual_size(data: Any) -> int:
    """How many samples a batch has where none says: 64, or all of fewer.

    >>> usual_size((torch.rand(8, 3), torch.arange(8)))
    8
    """
    source = data.dataset if isinstance(data, DataLoader) else data
    return _USUAL if isinstance(source, IterableDataset) else min(_USUAL, length(load(data)))


def validate(batch: Batch, classes: int | None = None) -> None:
    """Check that a batch can be scored.

    Args:
        batch: the batch.
        classes: number of outputs of the network; None does not check labels.

    Raises:
        InputError: a batch without tensors or samples, sparse or nested ones, NaN or infinite inputs, a number of
            targets that is not the number of inputs, or labels that are not whole numbers in [0, classes).

    >>> validate(Batch(torch.zeros(2, 3), torch.tensor([0, 10])), classes=10)
    Traceback (most recent call last):
    zerocost.base.errors.InputError: labels must be in 0..9 for a network with 10 outputs, got 10; ...
    """
    tensors = list(_tensors(batch.inputs))
    if not tensors:
        raise InputError(
            f"the inputs of a batch must hold tensors, got {type(batch.inputs).__name__}; "
            "zerocost.data.draw makes a batch of data"
        )
    for tensor in [*tensors, *_tensors(batch.targets)]:
        _check_kind(tensor)
    count = next((len(tensor) for tensor in tensors if tensor.ndim), 0)
    if count == 0:
        raise InputError(f"the batch is empty: inputs of shape {tuple(tensors[0].shape)}")
    for tensor in tensors:
        check_finite(tensor)
    if batch.targets is None:
        return
    targets = batch.targets
    if targets.ndim == 0 or len(targets) != count:
        raise InputError(f"{count} inputs need {count} targets, got targets of shape {tuple(targets.shape)}")
    if classes is None:
        return
    if not is_integer(targets):
        raise InputError(f"labels must be whole numbers in 0..{classes - 1}, got {targets.dtype}; convert with .long()")
    outside = targets[(targets < 0) | (targets >= classes)]
    if outside.numel():
        raise InputError(
            f"labels must be in 0..{classes - 1} for a network with {classes} outputs, got {describe_values(outside)}; "
            "count labels from 0 and give the network an output for each class"
        )


def _check_kind(tensor: Tensor) -> None:
    """`InputError` for a tensor whose values cannot be read in place."""
    kinds = {"nested": tensor.is_nested, "sparse": tensor.layout is not torch.strided, "without values": tensor.is_meta}
    found = next((kind for kind, applies in kinds.items() if applies), None)
    if found is not None:
        raise InputError(f"a batch must hold dense tensors with values, got one that is {found}; make it dense")


def _bytes_in(sample: Any) -> int:
    """Bytes that the tensors and arrays of a sample take."""
    return sum(leaf.nbytes for leaf in tree_leaves(sample) if hasattr(leaf, "nbytes"))


def _draw_indices(dataset: Any, size: int, seed: int, balanced: bool) -> list[int]:
    count = length(dataset)
    if size > count:
        raise InputError(f"asked for a batch of {size}, but the data holds {count} samples; ask for {count} or fewer")
    generator = torch.Generator().manual_seed(seed)
    if balanced:
        return balanced_indices(dataset, size, generator)
    picked: list[int] = torch.randperm(count, generator=generator)[:size].tolist()
    return picked


def _first_samples(dataset: IterableDataset[Any], size: int, balanced: bool) -> list[Any]:
    if balanced:
        raise InputError("a dataset that can only be iterated gives its first samples; they cannot be balanced")
    samples = list(islice(iter(dataset), size))
    if len(samples) < size:
        raise InputError(f"asked for a batch of {size}, but the dataset gave only {len(samples)} samples")
    return samples


def collate_batch(samples: list[Any], collate_fn: Callable[[list[Any]], Any]) -> Batch:
    """The batch that a `collate_fn` makes of samples: a pair is inputs and targets, anything else all inputs.

    Raises:
        InputError: samples that it makes no batch of, or targets that are no tensor.
    """
    batch = collate(samples, collate_fn)
    if not isinstance(batch, tuple | list) or len(batch) > 2:
        return Batch(batch, None)
    inputs, targets = (*batch, None)[:2]
    if not isinstance(targets, Tensor | None):
        raise InputError(f"the targets of a batch must be a tensor, got {type(targets).__name__}; use number labels")
    return Batch(inputs, targets)


def _tensors(inputs: Any) -> Iterator[Tensor]:
    if isinstance(inputs, Tensor):
        yield inputs
    elif isinstance(inputs, Mapping):
        for value in inputs.values():
            yield from _tensors(value)
    elif isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes):
        for value in inputs:
            yield from _tensors(value)
