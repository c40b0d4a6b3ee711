"""`load` turns anything that holds data into a map-style Dataset; `split` divides one into training and validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, SubsetRandomSampler, default_collate

from zerocost.base.errors import InputError
from zerocost.base.torch_state import neutral_torch
from zerocost.data.balance import class_labels
from zerocost.data.collated import Collated
from zerocost.data.source_data import SourceData
from zerocost.data.sources import open_source
from zerocost.data.tensors import TensorData, as_inputs, as_targets, check_classes


@neutral_torch()
def load(data: Any, *, task: str | None = None) -> Dataset[Any]:
    """A map-style Dataset of `(input, target)` from anything that holds data.

    - a spec such as `"digits"` or `"cifar10:PATH"` (see `SOURCES`) gives float32 C×H×W, standardised per channel;
    - a tensor or array gives its samples, without labels;
    - a pair (inputs, targets) of tensors or arrays, or a `Batch`, gives samples with their targets: int labels, or what
      other tasks take. Several inputs are a tuple or a mapping of tensors or arrays;
    - a pandas DataFrame of numbers, as inputs float32, or a Series is taken as an array, in the place of either;
    - a map-style torch Dataset is returned as it is;
    - a DataLoader gives its dataset, or the part of it that its `SubsetRandomSampler` selects; batches of it, wherever
      they are made, are made by its `collate_fn`.

    Tensors and arrays of uint8 are images, N×H×W×C, N×C×H×W or N×H×W, and become float32 N×C×H×W in [0, 1];
    floating point keeps its values, as float32. Image sources named by a spec (but for a floating-point .npz
    and for noise) are also standardised: each channel gets mean 0 and standard deviation 1, by the loaded data's
    own statistics, and after a `split` by those of the training part. What is held in memory has `.images` and
    `.targets` tensors.

    Args:
        data: see above.
        task: the name of the task, for a table whose target could be read as a class or as a number, and for whole
            numbers, which may be negative unless they are labels.

    Raises:
        InputError: an unknown source, a missing file, data without a length, empty data, wrong shapes, NaN or infinite
            values, labels that are negative, and a DataFrame with texts.

    >>> data = load((torch.rand(10, 3, 8, 8), torch.arange(10)))
    >>> image, label = data[4]
    >>> image.shape, label
    (torch.Size([3, 8, 8]), 4)
    """
    dataset = _as_dataset(data)
    if length(dataset) == 0:
        raise InputError(f"the data is empty: a {type(dataset).__name__} of length 0")
    counts_classes = task in (None, "classification") and not isinstance(data, Dataset | DataLoader)
    if counts_classes and isinstance(dataset, TensorData):
        check_classes(dataset.targets)
    if task is not None and isinstance(dataset, SourceData):
        dataset = dataset.for_task(task)
    own = isinstance(data, DataLoader) and data.batch_sampler is not None and data.collate_fn is not default_collate
    return Collated(dataset, data.collate_fn) if own else dataset


def load_held(data: Any, task: str | None) -> Any:
    """`load` of a spec, a pair or list, or a source's data, for a task; anything else, such as a batch or a DataLoader,
    stays what it is, as batches can be drawn from it.

    >>> load_held((torch.ones(2, 1), torch.tensor([0, 1])), None)[1], load_held(torch.ones(1), None)
    ((tensor([1.]), 1), tensor([1.]))
    """
    return load(data, task=task) if isinstance(data, str | tuple | list | SourceData) else data


@neutral_torch()
def split(data: Any, fraction: float = 0.2, *, seed: int = 0) -> tuple[Dataset[Any], Dataset[Any]]:
    """Divide data into disjoint (training, validation) parts, the same for the same seed.

    What a source standardises, it does by the training part alone. Of what has an order, such as time series and texts,
    the validation part is the end.

    Args:
        data: a map-style Dataset, a DataLoader or a spec. Where the dataset lists whole-number labels in `.targets`,
            or floating whole numbers of at most 20 different values, each class has the same fraction in the validation
            part, as nearly as whole samples allow; else samples are drawn regardless of their label.
        fraction: share of the validation part, between 0 and 1.
        seed: of the draw.

    Raises:
        InputError: a fraction that leaves either part empty, and whatever `load` refuses.

    >>> train, validation = split(load((torch.rand(10, 4), torch.arange(10) % 2)), 0.4)
    >>> len(train), sorted(label for _, label in validation)
    (6, [0, 0, 1, 1])
    """
    dataset = load(data) if isinstance(data, str | DataLoader) else data
    if isinstance(dataset, Collated):
        first, second = split(dataset.dataset, fraction, seed=seed)
        return Collated(first, dataset.collate_fn), Collated(second, dataset.collate_fn)
    count = length(dataset)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator)
    labels = class_labels(dataset)
    if labels is not None:  # classes side by side, so that evenly spaced picks take the same share of each
        order = order[labels[order].argsort(stable=True)]
    gap = dataset.gap if isinstance(dataset, SourceData) else None
    due = (torch.arange(count + 1, dtype=torch.float64) * fraction + 0.5).floor()
    chosen = due.diff() > 0
    if not 0 < fraction < 1 or not 0 < int(chosen.sum()) < count:
        raise InputError(
            f"a validation fraction of {fraction} of {count} samples leaves one part empty; give a fraction "
            "between 0 and 1 and enough samples for both parts"
        )
    train, validation = (order[mask].sort().values for mask in (~chosen, chosen))
    if gap is not None:
        held_out = len(validation)
        train, validation = torch.arange(count - held_out - gap), torch.arange(count - held_out, count)
        if not len(train):
            raise InputError(f"{count} windows are too few to hold {held_out} out; give more data or shorter windows")
    return _parts(dataset, train, validation)


def standardise_alike(train: Dataset[Any], validation: Dataset[Any]) -> tuple[Dataset[Any], Dataset[Any]]:
    """Two datasets of the same kind of source, read alike and standardised by the first; others as they are.

    Raises:
        InputError: the second is no such data.
    """
    if isinstance(train, Collated) and isinstance(validation, Collated):
        first, second = standardise_alike(train.dataset, validation.dataset)
        return Collated(first, train.collate_fn), Collated(second, validation.collate_fn)
    if isinstance(train, SourceData) and type(train) is type(validation):
        return train.beside(validation)
    return train, validation


def _parts(dataset: Dataset[Any], train: Tensor, validation: Tensor) -> tuple[Dataset[Any], Dataset[Any]]:
    """Two parts of a dataset, which may make them itself."""
    if isinstance(dataset, SourceData):
        return dataset.parts(train, validation)
    if type(dataset) is Subset and isinstance(dataset.dataset, SourceData):
        within = torch.tensor(list(dataset.indices))
        return _parts(dataset.dataset, within[train], within[validation])
    return Subset(dataset, train.tolist()), Subset(dataset, validation.tolist())


def length(dataset: Dataset[Any]) -> int:
    """Number of samples; `InputError` if the dataset does not know it."""
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise InputError(
            f"{type(dataset).__name__} can only be read from front to back, or has no length; "
            "give a map-style Dataset, with __getitem__ and __len__"
        )
    return len(dataset)


def _as_array(value: Any, dtype: str | None = None) -> Any:
    """A table or column of pandas as an array, a table as one of `dtype`; anything else as it is."""
    if isinstance(value, pd.Series):
        return value.to_numpy()
    if not isinstance(value, pd.DataFrame):
        return value
    others = value.columns.difference(value.select_dtypes(["number", "bool"], exclude="timedelta").columns)
    if len(others):
        raise InputError(
            f"the table's column {others[0]!r} is not of numbers; write the table to a file, "
            "table.to_csv('data.csv', index=False), and give 'csv:data.csv:TARGET'"
        )
    if value.isna().any(axis=None):  # before pandas 3, a table of whole numbers refuses `na_value`
        return value.to_numpy(dtype=dtype, na_value=np.nan)
    return value.to_numpy(dtype=dtype)


def _as_input(array: Tensor | np.ndarray[Any, Any]) -> Tensor:
    """One of several inputs, which may be a number a sample."""
    return as_inputs(array) if array.ndim > 1 else as_inputs(array[:, None])[:, 0]


def declared_task(data: Any) -> str | None:
    """The task that a dataset, or the one it is part of, says it was made for, in `.task`; None if it does not."""
    if isinstance(data, DataLoader | Subset | Collated):
        return declared_task(data.dataset)
    found = getattr(data, "task", None)
    return found if isinstance(found, str) and isinstance(data, Dataset) else None


def _as_dataset(data: Any) -> Dataset[Any]:
    if isinstance(data, str):
        return open_source(data)
    if isinstance(data, Tensor | np.ndarray | pd.DataFrame):
        return TensorData(as_inputs(_as_array(data, "float32")))
    if isinstance(data, DataLoader):
        sampler = getattr(data.batch_sampler, "sampler", data.sampler)
        if isinstance(sampler, SubsetRandomSampler):
            return Subset(data.dataset, [int(index) for index in sampler.indices])
        return data.dataset
    if isinstance(data, Dataset):
        return data
    if isinstance(data, tuple | list) and len(data) == 2:
        inputs, targets = _as_array(data[0], "float32"), _as_array(data[1])
        leaves = tree_leaves(inputs)
        if all(isinstance(one, Tensor | np.ndarray) for one in leaves) and isinstance(
            targets, Tensor | np.ndarray | None
        ):
            made = as_inputs(inputs) if leaves[0] is inputs else tree_map(_as_input, inputs)
            count = len(tree_leaves(made)[0])
            if any(len(one) != count for one in tree_leaves(made)):
                raise InputError("the inputs of one batch must have the same number of samples")
            return TensorData(made, None if targets is None else as_targets(targets, count))
    raise InputError(
        f"data cannot be read from {_describe(data)}; give a spec such as 'digits', a tensor or array, a pair of "
        "them (inputs, labels), a torch Dataset or a DataLoader"
    )


def _describe(data: Any) -> str:
    name = type(data).__name__
    return (
        f"a {name} of {', '.join(type(x).__name__ for x in data[:5])}"
        if isinstance(data, tuple | list)
        else f"a {name}"
    )
