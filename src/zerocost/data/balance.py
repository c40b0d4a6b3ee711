"""Which samples make a batch in which each class has the same number of samples."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from zerocost.base.errors import InputError
from zerocost.data.targets import IGNORED, MOST_CLASSES, as_pair, class_numbers
from zerocost.data.tensors import is_integer

SETTLED = 1000  # after this many samples without a new class, those that were found count as all


def class_labels(dataset: Dataset[Any]) -> Tensor | None:
    """The labels that a dataset lists apart from its samples, as an int64 vector; None if it lists none.

    Floating whole numbers are labels where they have few different values.

    >>> class_labels(Subset(TensorDataset(torch.zeros(3, 2), torch.tensor([5, 6, 7])), [2, 0]))
    tensor([7, 5])
    """
    if isinstance(dataset, Subset):
        labels = class_labels(dataset.dataset)
        return None if labels is None else labels[torch.tensor(list(dataset.indices), dtype=torch.long)]
    labels = listed_targets(dataset)
    found = class_numbers(labels)
    if labels is None or found is None or found.shape != labels.shape[:1] or not is_integer(found):
        return None
    many = labels.is_floating_point() and found.numel() == labels.numel() and len(torch.unique(found)) > MOST_CLASSES
    return None if many else found.long().cpu()


def listed_targets(dataset: Dataset[Any]) -> Tensor | None:
    """The targets that a dataset lists apart from its samples, one for each; None if it lists none, or no numbers.

    >>> listed_targets(Subset(TensorDataset(torch.zeros(3, 2), torch.tensor([0.5, 6.5, 7.5])), [2, 0]))
    tensor([7.5000, 0.5000])
    """
    if isinstance(dataset, Subset):
        whole = listed_targets(dataset.dataset)
        return None if whole is None else whole[torch.tensor(list(dataset.indices), dtype=torch.long)]
    if isinstance(dataset, TensorDataset):
        targets: Any = dataset.tensors[1] if len(dataset.tensors) == 2 else None
    else:
        targets = getattr(dataset, "targets", None)
    if targets is None:
        return None
    try:
        found = torch.tensor(targets) if isinstance(targets, np.ndarray) else torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError):  # names, boxes, ragged lists: not numbers
        return None
    return found if found.shape[:1] == (len(dataset),) else None  # type: ignore[arg-type]


def balanced_indices(dataset: Dataset[Any], size: int, generator: torch.Generator) -> list[int]:
    """Indices of `size` samples, the same number of each class (give or take one), in random order.

    Samples of label `IGNORED` are of no class, and are left out. If the dataset does not list its labels, they are read
    from its samples in random order, until each class that was found has enough and `SETTLED` further samples brought
    no new class.

    Raises:
        InputError: there are no labels, or not enough samples of a class.
    """
    order = torch.randperm(len(dataset), generator=generator)  # type: ignore[arg-type]
    labels = class_labels(dataset)
    labels = _read_labels(dataset, order.tolist(), size) if labels is None else labels[order]
    counted = labels != IGNORED
    order, labels = order[: len(labels)][counted], labels[counted]
    if not len(labels):
        raise InputError(f"a balanced batch needs labels, but all are {IGNORED}, which does not count")
    classes, counts = torch.unique(labels, return_counts=True)
    share, rest = divmod(size, len(classes))
    roomy = (counts > share).nonzero()[:, 0]
    if int(counts.min()) < share or len(roomy) < rest:
        scarce = int(counts.argmin())
        raise InputError(
            f"a balanced batch of {size} over {len(classes)} classes needs {share}{f' to {share + 1}' if rest else ''} "
            f"samples of each, but class {int(classes[scarce])} has {int(counts[scarce])}; "
            "ask for a smaller batch, or for one that is not balanced"
        )
    wanted = torch.full_like(counts, share)
    wanted[roomy[torch.randperm(len(roomy), generator=generator)[:rest]]] += 1
    pairs = zip(classes.tolist(), wanted.tolist(), strict=True)
    chosen = torch.cat([order[labels == label][:number] for label, number in pairs])
    picked: list[int] = chosen[torch.randperm(size, generator=generator)].tolist()
    return picked


def _read_labels(dataset: Dataset[Any], order: list[int], size: int) -> Tensor:
    labels: list[int] = []
    counts: Counter[int] = Counter()
    last_new = 0
    for index in order:
        label = _label_of(dataset[index])
        if label not in counts:
            last_new = len(labels)
        labels.append(label)
        counts[label] += 1
        if len(labels) - last_new > SETTLED and _has_enough(counts, size):
            break
    return torch.tensor(labels)


def _has_enough(counts: Counter[int], size: int) -> bool:
    found = [count for label, count in counts.items() if label != IGNORED]
    share = size // max(1, len(found))
    return min(found, default=0) >= share and sum(min(count, share + 1) for count in found) >= size


def _label_of(sample: Any) -> int:
    pair = as_pair(sample)
    if pair is None:
        raise InputError("a balanced batch needs labels: the samples must be pairs (input, label)")
    try:
        found = class_numbers(torch.as_tensor(pair[1])[None])
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None or found.shape != (1,) or not is_integer(found):
        kind = type(pair[1]).__name__
        raise InputError(f"a balanced batch needs whole-number labels, but a sample has a {kind}")
    return int(found)
