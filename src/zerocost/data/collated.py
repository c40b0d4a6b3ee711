"""The samples of a DataLoader whose `collate_fn` makes the batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import Dataset, default_collate

from zerocost.base.errors import InputError

_Collate = Callable[[list[Any]], Any]


class Collated(Dataset[Any]):
    """Samples that a `collate_fn` makes batches of. Item `i` is what it makes of sample `i` alone.

    Args:
        dataset: the samples as the `collate_fn` takes them.
        collate_fn: makes a batch of a list of samples.

    >>> import torch
    >>> rows = [torch.tensor([5, 6]), torch.tensor([7])]
    >>> data = Collated(rows, lambda some: torch.nn.utils.rnn.pad_sequence(some, batch_first=True))
    >>> len(data), data[1]
    (2, tensor([7]))
    """

    def __init__(self, dataset: Dataset[Any], collate_fn: _Collate) -> None:
        self.dataset, self.collate_fn = dataset, collate_fn

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        batch = collate([self.dataset[index]], self.collate_fn)
        return tree_map(_first_row, dict(batch) if isinstance(batch, Mapping) else batch)


def source_of(dataset: Dataset[Any]) -> tuple[Dataset[Any], _Collate]:
    """The samples that batches are made of, and what makes them."""
    return (dataset.dataset, dataset.collate_fn) if isinstance(dataset, Collated) else (dataset, default_collate)


def collate(samples: list[Any], collate_fn: _Collate) -> Any:
    """A batch of samples; `InputError` where they make none.

    A list of numbers in a sample, such as the token ids of a text, is a row of a tensor. (torch's `default_collate`
    makes a tensor of each place in the list.)

    >>> collate([{"ids": [5, 6]}, {"ids": [7, 8]}], default_collate)
    {'ids': tensor([[5, 6],
            [7, 8]])}
    """
    try:
        return collate_fn([_with_rows(one) for one in samples] if collate_fn is default_collate else samples)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the samples do not fit into one batch: {reason}; give tensors of one shape, or a DataLoader whose "
            "collate_fn makes them so"
        ) from error


def _with_rows(sample: Any) -> Any:
    """A sample with tensors in place of its lists of numbers."""
    if isinstance(sample, Mapping) and any(isinstance(value, list) for value in sample.values()):
        return {name: _as_row(value) for name, value in sample.items()}
    if isinstance(sample, tuple | list) and any(isinstance(value, list) for value in sample):
        return tuple(map(_as_row, sample))
    return sample


def _as_row(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(leaf, int | float) for leaf in tree_leaves(value)):
        return torch.tensor(value)
    return value


def _first_row(value: Any) -> Any:
    return value[0] if isinstance(value, Tensor) and value.ndim else value
