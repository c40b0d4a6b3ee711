"""Batches of a labelled dataset, and the fingerprints that tell datasets apart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import Dataset, Subset, TensorDataset

from zerocost.base.errors import InputError
from zerocost.base.identity import identity
from zerocost.base.seeding import seeded
from zerocost.data.balance import class_labels
from zerocost.data.batch import collate_batch, separate_targets
from zerocost.data.collated import source_of
from zerocost.data.targets import as_pair
from zerocost.data.tensors import TensorData
from zerocost.tasks import Task, classification

_MOST_READ = 2**26
"""Bytes of a tensor that its digest reads at most, in a tenth of a second."""
_SAMPLES_READ = 512
"""Samples that the digest of a dataset reads one by one."""


def mix_seeds(*numbers: int) -> int:
    """One seed (32 bits) out of several numbers, such as a run's seed and the epoch.

    >>> mix_seeds(0, 1) == mix_seeds(0, 1) and mix_seeds(0, 1) != mix_seeds(1, 0)
    True
    """
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=4).digest(), "big")


class Batches:
    """A map-style dataset of (input, target) pairs in batches of nearly equal size, none above `size`.

    A sample may also be a mapping that holds its target, as `zerocost.score` takes it.

    Sizes are nearly equal because batch normalisation cannot train on a single sample left at the end. Datasets of
    tensors are indexed once a batch, others are read sample by sample.

    Args:
        data: the dataset.
        size: most samples of a batch.
        task: what the networks are trained for, which checks the targets.

    Attributes:
        order: seed of the next epoch's shuffling; None keeps the dataset's order.
        count: number of samples.

    Raises:
        InputError: the dataset is empty, or its samples have no target that the task takes.

    >>> data = TensorDataset(torch.arange(10.0), torch.arange(10))
    >>> [len(labels) for _, labels in Batches(data, size=4)]
    [4, 3, 3]
    """

    def __init__(self, data: Dataset[Any], size: int, task: Task = classification) -> None:
        self.data, self.size = data, size
        self.order: int | None = None
        self.count = len(data)  # type: ignore[arg-type]
        self.tensors = _held_tensors(data)
        if not self.count:
            raise InputError("a dataset to train or validate on is empty; expected at least one sample")
        _check_sample(data[0], task)

    def take(self, rows: Tensor) -> tuple[Any, Tensor]:
        """The inputs and targets of the samples numbered `rows`."""
        if self.tensors is not None:
            inputs, targets = self.tensors
            return tree_map(lambda values: values[rows], inputs), targets[rows]
        source, collate_fn = source_of(self.data)
        inputs, found = separate_targets(collate_batch([source[row] for row in rows.tolist()], collate_fn))
        assert found is not None
        return inputs, found

    def __len__(self) -> int:
        return math.ceil(self.count / self.size)

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        rows = torch.arange(self.count)
        if self.order is not None:
            rows = torch.randperm(self.count, generator=torch.Generator().manual_seed(self.order))
        for part in rows.tensor_split(len(self)):
            yield self.take(part)

    @cached_property
    def fingerprint(self) -> str:
        """The number of samples and a digest of them, which tell one dataset from another.

        Of what is held in tensors all counts, but above 64 MB evenly spread samples. Of other datasets 512 samples are
        read, and all labels that they list.
        """
        if self.tensors is not None:
            found = [values[:: math.ceil(values.nbytes / _MOST_READ) or 1] for values in tree_leaves(self.tensors)]
        else:
            rows = torch.linspace(0, self.count - 1, min(self.count, _SAMPLES_READ)).long()
            with seeded(0):
                found = [class_labels(self.data), *tree_leaves(self.take(rows))]
        return f"{self.count} samples, {identity(*found)}"


def _check_sample(sample: Any, task: Task) -> None:
    """Raise `InputError` for a sample that is not an input with a target of the task."""
    pair = as_pair(sample)
    if pair is None:
        raise InputError(f"training expects (input, label) pairs, but a sample is a {type(sample).__name__}")
    try:
        target = torch.as_tensor(pair[1])
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"a target must be a number or a tensor of numbers, but one is a {type(pair[1]).__name__}; number classes "
            "from 0, and put several kinds of targets into one tensor, which a loss of your own takes apart"
        ) from error
    task.check_target(target)


def _held_tensors(data: Dataset[Any]) -> tuple[Any, Tensor] | None:
    """Inputs and targets where a dataset holds them in tensors and its items are their rows."""
    if type(data) is Subset:
        whole, rows = _held_tensors(data.dataset), list(data.indices)
        return None if whole is None else (tree_map(lambda values: values[rows], whole[0]), whole[1][rows])
    if isinstance(data, TensorData) and data.targets is not None:
        return data.images, data.targets
    if type(data) is TensorDataset and len(data.tensors) == 2:
        return data.tensors[0], data.tensors[1]
    return None
